/** @file The words of `npm run bench -- <benchmark> …`. */
import { parseArgs } from "node:util";
import { didYouMean } from "../src/base/options.ts";

/** What is run: everything, everything of ours, or everything at sizes that take seconds. */
export const presets = ["peers", "own", "quick"] as const;

export type Preset = (typeof presets)[number];

/** What was asked for. */
export interface BenchOptions {
  readonly benchmark: string;
  readonly preset: Preset;
  readonly json: boolean;
  readonly rounds: number;
  readonly threads: number;
  /** Names of the parts to run; all where absent. */
  readonly only: readonly string[] | undefined;
  /** The folder whose packages are the peers; bench/peers where absent. */
  readonly peers: string | undefined;
  /** Whether the results and the document are written. */
  readonly write: boolean;
  /** Whether the document is written from the results that are there, and nothing is run. */
  readonly redraw: boolean;
}

/** Words that are not understood. */
export class UsageError extends Error {}

/**
 * Reads the words of the command line.
 *
 * @param words - without the program
 * @param benchmarks - names of the benchmarks there are
 * @throws UsageError for a benchmark, an option or a value that is not there
 */
export function readOptions(words: readonly string[], benchmarks: readonly string[]): BenchOptions {
  const { values, positionals } = parse(words);
  const [benchmark, ...others] = positionals;
  if (benchmark === undefined || others.length > 0) {
    throw new UsageError(
      `Cannot run a benchmark as one name is needed: ${positionals.join(" ") || "none was given"}. ` +
        `Name one of them: ${benchmarks.join(", ")}`,
    );
  }
  requireKnown("benchmark", benchmark, benchmarks);
  requireKnown("preset", values.preset, presets);
  if (values.write && values.preset !== "peers") {
    throw new UsageError(
      `Cannot write the document as it shows all contestants: --preset ${values.preset}. Use --preset peers`,
    );
  }
  if (values.write && values.only !== undefined) {
    throw new UsageError(
      `Cannot write the document as it shows all parts: --only ${values.only}. Leave --only out`,
    );
  }
  const only = values.only?.split(",").map((part) => part.trim());
  return {
    benchmark,
    preset: values.preset as Preset,
    json: values.json,
    rounds: wholeNumber("rounds", values.rounds),
    threads: wholeNumber("threads", values.threads),
    only,
    peers: values.peers,
    write: values.write,
    redraw: values.redraw,
  };
}

/** @throws UsageError when `given` is not one of `known` */
export function requireKnown(what: string, given: string, known: readonly string[]): void {
  if (known.includes(given)) return;
  throw new UsageError(
    `Cannot run a benchmark as there is no ${what} '${given}': there are ${known.join(", ")}. ${didYouMean(given, known)}`,
  );
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        preset: { type: "string", default: "own" },
        json: { type: "boolean", default: false },
        rounds: { type: "string", default: "7" },
        threads: { type: "string", default: "2" },
        only: { type: "string" },
        peers: { type: "string" },
        write: { type: "boolean", default: false },
        redraw: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`Cannot run a benchmark as its options must be known: ${(error as Error).message}`);
  }
}

function wholeNumber(name: string, word: string): number {
  const number = Number(word);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new UsageError(
    `Cannot run a benchmark as --${name} must be a whole number ≥ 1: ${word}. Pass another`,
  );
}
