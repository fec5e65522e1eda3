/**
 * @file A heat: contestants on problems, made ready, checked, and timed in interleaved rounds. Who is absent, fails or is
 * wrong is reported and takes no further part.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type FeedForwardProblem,
  hasTensors,
  type Problem,
  sizeOfProblem,
  type TensorProblem,
} from "../protocol.ts";
import { errorOfRecurrence } from "../recurrence/correctness.ts";
import { recurrenceText } from "../recurrence/problems.ts";
import { distillationText, languageText } from "../language/problems.ts";
import { type ContestantName } from "../roster.ts";
import { type Entrant, interleaved, type Times } from "../rounds.ts";
import { type Context } from "./context.ts";
import {
  errorAgainst,
  errorOfLastRows,
  errorOfSmall,
  errorTolerance,
  type Results,
  smallForm,
} from "./correctness.ts";
import { problemText, sizesText, writeInputs } from "./problems.ts";

/** Somebody on a problem. */
export interface HeatEntry {
  /** Under which its times are returned. */
  readonly key: string;
  readonly contestant: ContestantName;
  readonly problem: Problem;
  /** How its results are judged, where they cannot equal ours. */
  readonly judge?: { readonly errorOf: (results: Results) => number; readonly tolerance: number };
}

/** What a heat found: entries that are missing did not finish. */
export interface HeatResult {
  readonly times: ReadonlyMap<string, Times>;
  readonly facts: ReadonlyMap<string, Readonly<Record<string, number>>>;
}

/** Contestants whose results are the measure of others'. */
const own: ContestantName = "own";

let nextSlot = 0;

/** Small problems whose results were compared with the reference in this process. */
const checked = new Set<string>();

/** Runs a heat. Our own entries come first, as the others are checked against them. */
export async function runHeat(context: Context, entries: readonly HeatEntry[]): Promise<HeatResult> {
  const ordered = [...entries].sort((a, b) => Number(a.contestant !== own) - Number(b.contestant !== own));
  const facts = new Map<string, Readonly<Record<string, number>>>();
  const ours = new Map<string, Results>();
  const entrants: Entrant[] = [];
  const releases: (() => Promise<void>)[] = [];
  for (const entry of ordered) {
    const ready = await makeReady(context, entry, ours);
    if (ready === undefined) continue;
    facts.set(entry.key, ready.facts);
    entrants.push({ name: entry.key, timeMs: ready.timeMs });
    releases.push(ready.release);
  }
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  const times = await interleaved(entrants, {
    rounds: context.rounds,
    warmUp: !context.isSmall,
    failed: (key, { message }) => {
      const { contestant, problem } = byKey.get(key)!;
      if (contestant === own) throw new Error(`our own attention failed: ${message}`);
      context.findings.absent.push({
        peer: context.titleOf(contestant),
        case: textOf(problem),
        reason: message,
      });
    },
  });
  for (const release of releases) await release();
  return { times, facts };
}

/** A problem as readers see it. */
export function textOf(problem: Problem): string {
  switch (problem.kind) {
    case "attention":
      return `${problemText(problem)}, ${sizesText(problem)}`;
    case "recurrence":
      return recurrenceText(problem);
    case "recurrent-step":
      return `a token after ${problem.length}, ${problem.heads} heads, D = ${problem.width}`;
    case "limit":
      return "micro-kernel";
    case "decoding":
      return `decoding, S = ${problem.length}, ${problem.heads} heads, D = ${problem.width}`;
    case "copy":
      return "copy of float32 numbers";
    case "feed-forward":
      return feedForwardText(problem);
    case "language":
      return languageText(problem);
    case "distillation":
      return distillationText(problem);
    case "training":
      return `training step, width ${problem.width}, batch ${problem.batch} × ${problem.length}`;
  }
}

function feedForwardText({ tokens, width, hidden, experts, direction }: FeedForwardProblem): string {
  const pass = direction === "both" ? "forward + backward" : "forward";
  const form = experts === undefined ? "dense" : `${experts.count} experts, ${experts.choices} active`;
  return `feed-forward ${pass}, ${form}, ${tokens} tokens, width ${width}, hidden ${hidden}`;
}

const errorOfWhole = (problem: TensorProblem, results: Results): number =>
  problem.kind === "attention" ? errorOfSmall(problem, results) : errorOfRecurrence(problem, results);

interface Ready {
  readonly timeMs: () => Promise<number>;
  readonly release: () => Promise<void>;
  readonly facts: Readonly<Record<string, number>>;
}

async function makeReady(
  context: Context,
  { contestant, problem, judge }: HeatEntry,
  ours: Map<string, Results>,
): Promise<Ready | undefined> {
  const { roster, findings, titleOf, progress } = context;
  const found = await roster.find(contestant);
  if ("reason" in found) {
    if (contestant === own) throw new Error(`our own contestant does not run: ${found.reason}`);
    return undefined;
  }
  const text = textOf(problem);
  progress(`${titleOf(contestant)}: ${text}`);
  try {
    if (contestant === own && hasTensors(problem)) {
      const small = smallForm(problem);
      if (!checked.has(JSON.stringify(small))) {
        const { results, slot } = await prepare(context, contestant, small);
        await found.release(slot);
        requireOwn(text, errorOfWhole(small, results));
        checked.add(JSON.stringify(small));
      }
    }
    const { results, facts, slot } = await prepare(context, contestant, problem);
    const key = JSON.stringify(problem);
    if (hasTensors(problem)) {
      if (contestant === own) {
        if (problem.kind === "attention") requireOwn(text, errorOfLastRows(problem, results));
        ours.set(key, results);
      } else {
        const error = judge === undefined ? errorAgainst(ours.get(key)!, results) : judge.errorOf(results);
        if (!(error <= (judge?.tolerance ?? errorTolerance))) {
          findings.wrong.push({ peer: titleOf(contestant), case: text, error });
          await found.release(slot);
          return undefined;
        }
      }
    }
    return {
      timeMs: async () => (await found.run(slot)).timeMs,
      release: () => found.release(slot).catch(() => {}),
      facts,
    };
  } catch (error) {
    if (contestant === own) throw error;
    findings.absent.push({ peer: titleOf(contestant), case: text, reason: (error as Error).message });
    return undefined;
  }
}

async function prepare(
  { roster, folder }: Context,
  name: ContestantName,
  problem: Problem,
): Promise<{
  readonly results: Results;
  readonly facts: Readonly<Record<string, number>>;
  readonly slot: number;
}> {
  const contestant = await roster.find(name);
  if ("reason" in contestant) throw new Error(contestant.reason);
  const [inputs, outputs] = [join(folder, "inputs"), join(folder, "outputs")];
  if (hasTensors(problem)) writeInputs(inputs, problem);
  const slot = nextSlot++;
  const answer = await contestant.prepare({ slot, problem, inputs, outputs });
  const results = hasTensors(problem) ? readResults(outputs, answer.outputs, problem) : {};
  return { results, facts: answer.facts, slot };
}

/** The tensors that a contestant left in a file. */
export function readResults(path: string, names: readonly string[], problem: TensorProblem): Results {
  const size = sizeOfProblem(problem);
  const bytes = readFileSync(path);
  const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return Object.fromEntries(
    names.map((name, index) => [name, numbers.slice(index * size, (index + 1) * size)]),
  );
}

function requireOwn(text: string, error: number): void {
  if (error <= errorTolerance) return;
  throw new Error(
    `Cannot time our own attention as it must equal the reference: ${text} is ${error} off. Run the tests of src/kernels/wasm`,
  );
}
