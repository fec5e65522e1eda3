/**
 * @file A heat of language models: contestants on texts, checked once each, made ready, and timed in interleaved rounds. Who is absent, fails
 * or is wrong is reported and takes no further part.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Context } from "../attention/context.ts";
import { rounded } from "../attention/goal.ts";
import { type LanguageProblem } from "../protocol.ts";
import { type ContestantName } from "../roster.ts";
import { type Entrant, interleaved, type Times } from "../rounds.ts";
import {
  errorsOfExact,
  errorsOfGraph,
  logitTolerance,
  type TextResults,
  typicalError,
} from "./correctness.ts";
import { type GraphWeights } from "./graph-reference.ts";
import { languageText } from "./problems.ts";

/** Somebody on a text. */
export interface LanguageEntry {
  readonly contestant: ContestantName;
  readonly problem: LanguageProblem;
}

/** A model's text and weights, and who was found right. */
export interface LanguageHeats {
  readonly weights: GraphWeights;
  /** Enough for every problem. */
  readonly tokens: readonly number[];
  /** The typical error of everybody who was checked. */
  readonly errors: Map<ContestantName, number>;
}

/** Tokens that everybody is checked with. */
const checkedTokens = 16;

let nextSlot = 0;

const isOwn = (name: ContestantName): boolean => name.startsWith("own-");

/** Times of the entries that are right and finished. */
export async function runLanguageHeat(
  context: Context,
  heats: LanguageHeats,
  entries: readonly LanguageEntry[],
): Promise<ReadonlyMap<LanguageEntry, Times>> {
  const { roster, findings, titleOf, progress } = context;
  const byName = new Map<string, LanguageEntry>();
  const entrants: Entrant[] = [];
  const releases: (() => Promise<void>)[] = [];
  const failed = ({ contestant, problem }: LanguageEntry, { message }: Error): void => {
    if (isOwn(contestant)) throw new Error(`our own language model failed: ${message}`);
    findings.absent.push({ peer: titleOf(contestant), case: languageText(problem), reason: message });
  };
  for (const entry of entries) {
    const found = await roster.find(entry.contestant);
    if ("reason" in found) {
      if (isOwn(entry.contestant)) throw new Error(`our own contestant does not run: ${found.reason}`);
      continue;
    }
    try {
      if (!(await isRight(context, heats, entry.contestant))) continue;
      progress(`${titleOf(entry.contestant)}: ${languageText(entry.problem)}`);
      const slot = nextSlot++;
      await found.prepare({ slot, problem: entry.problem, inputs: "", outputs: "" });
      const name = `${entrants.length}`;
      byName.set(name, entry);
      entrants.push({ name, timeMs: async () => (await found.run(slot)).timeMs });
      releases.push(() => found.release(slot).catch(() => {}));
    } catch (error) {
      failed(entry, error as Error);
    }
  }
  const times = await interleaved(entrants, {
    rounds: context.rounds,
    warmUp: !context.isSmall,
    failed: (name, error) => failed(byName.get(name)!, error),
  });
  for (const release of releases) await release();
  return new Map([...times].map(([name, own]) => [byName.get(name)!, own]));
}

/** Runs a text once from the beginning, for what it gives. */
export async function resultsOf(
  { roster, folder }: Context,
  { weights: { sizes } }: LanguageHeats,
  { contestant, problem }: LanguageEntry,
): Promise<TextResults> {
  const found = await roster.find(contestant);
  if ("reason" in found) throw new Error(found.reason);
  const [slot, file] = [nextSlot++, join(folder, "results")];
  const { outputs } = await found.prepare({ slot, problem, inputs: "", outputs: file });
  await found.release(slot);
  const bytes = readFileSync(file);
  const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  if (!outputs.includes("cache")) return { logits: numbers };
  const { num_hidden_layers: layers, num_key_value_heads: heads, head_dim: width } = sizes;
  const end = numbers.length - 2 * layers * heads * width * problem.tokens.length;
  return { logits: numbers.subarray(0, end), cache: numbers.subarray(end) };
}

/** Whether somebody's logits are those of the graph; who is wrong is reported when first asked for. */
export async function isRight(
  context: Context,
  heats: LanguageHeats,
  contestant: ContestantName,
): Promise<boolean> {
  const { weights, errors } = heats;
  let error = errors.get(contestant);
  if (error === undefined) {
    const problem = readOneByOne(heats.tokens.slice(0, checkedTokens));
    context.progress(`${context.titleOf(contestant)}: checked with ${problem.tokens.length} tokens`);
    const results = await resultsOf(context, heats, { contestant, problem });
    const errorsOf = isOwn(contestant) ? errorsOfExact : errorsOfGraph;
    error = typicalError(errorsOf(weights, problem.tokens, results));
    errors.set(contestant, error);
    const what = isOwn(contestant) ? "without its rounding" : "as it is";
    context.findings.facts[
      `error of the logits of ${context.titleOf(contestant)}, over the largest, against the graph in f64 ${what}`
    ] = rounded(error);
    if (!(error <= logitTolerance)) {
      if (isOwn(contestant)) {
        throw new Error(
          `Cannot time our own language model as it must equal the reference: its logits are ${error} off. ` +
            "Run the tests of src/language",
        );
      }
      context.findings.wrong.push({
        peer: context.titleOf(contestant),
        case: languageText(problem),
        error,
      });
    }
  }
  return error <= logitTolerance;
}

/** A text from its beginning, token by token. */
export const readOneByOne = (tokens: readonly number[]): LanguageProblem => ({
  kind: "language",
  context: [],
  tokens,
  pass: "one by one",
});
