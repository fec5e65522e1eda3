/** @file What is measured of the recurrent core: against dense softmax, over N, token by token, and against other libraries. */
import { type Context, type Part } from "../attention/context.ts";
import { exponentGoal, exponentOf, memoryGoal, rounded, timeGoal } from "../attention/goal.ts";
import { type HeatEntry, runHeat, textOf } from "../attention/heat.ts";
import { attentionProblem } from "../attention/problems.ts";
import { type RecurrenceTerms, type RecurrentStepProblem, type TensorProblem } from "../protocol.ts";
import { type ContestantName } from "../roster.ts";
import { recurrenceProblem } from "./problems.ts";

const allTerms: readonly RecurrenceTerms[] = ["linear", "gla", "deltanet"];
/** Lengths of a run that takes seconds are so many times shorter. */
const shorter = 16;

const own = (key: string, problem: HeatEntry["problem"]): HeatEntry => ({ key, contestant: "own", problem });

const softmax = (length: number): TensorProblem =>
  attentionProblem("dot+causal", { heads: 1, length, width: 64, direction: "both" });

/** Our own dense softmax at the same length. */
export const dense: Part = {
  name: "dense",
  hasPeers: false,
  async run(context) {
    const length = context.isSmall ? 16_384 / shorter : 16_384;
    const { times } = await runHeat(context, [
      own("softmax", softmax(length)),
      ...allTerms.map((terms) => own(terms, recurrenceProblem(terms, length))),
    ]);
    for (const terms of allTerms) {
      const title = {
        against: "our own dense softmax",
        case: textOf(recurrenceProblem(terms, length)),
        goal: 20,
      };
      const goal = timeGoal(title, times.get(terms)!, times.get("softmax")!, !context.isSmall);
      context.findings.goals.push(goal);
    }
  },
};

/** Every doubling from 1k to 64k: a power that is fitted to a few lengths is that of the noise at the first and the last. */
const growthLengths = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/** The power of N in the time: least squares over the medians of all lengths, which are measured in the same rounds. */
export const growth: Part = {
  name: "growth",
  hasPeers: false,
  async run(context) {
    const lengths = growthLengths.map((length) => (context.isSmall ? length / shorter : length));
    const { times } = await runHeat(
      context,
      allTerms.flatMap((terms) =>
        lengths.map((length) => own(`${terms} ${length}`, recurrenceProblem(terms, length))),
      ),
    );
    for (const terms of allTerms) {
      const points = lengths.map((length) => ({
        length,
        timeMs: times.get(`${terms} ${length}`)!.medianMs,
      }));
      const title = {
        against: "the power of N in the time",
        case: textOf(recurrenceProblem(terms, lengths.at(-1)!)).replace(
          /N = \d+/,
          `N = ${lengths.join(", ")}`,
        ),
        goal: 1,
      };
      context.findings.goals.push(exponentGoal(title, exponentOf(points), 0.05, !context.isSmall));
      for (const { length, timeMs } of points) {
        context.findings.curves.push({ series: `qklab, ${terms}`, length, time_ms: rounded(timeMs) });
      }
    }
  },
};

/** The length from which on a recurrence is faster than our own dense softmax. */
export const crossover: Part = {
  name: "crossover",
  hasPeers: false,
  async run(context) {
    const lengths = context.isSmall ? [64, 128] : [64, 128, 256, 512, 1024, 2048];
    const { times } = await runHeat(
      context,
      lengths.flatMap((length) => [
        own(`softmax ${length}`, softmax(length)),
        ...allTerms.map((terms) => own(`${terms} ${length}`, recurrenceProblem(terms, length))),
      ]),
    );
    for (const terms of allTerms) {
      const logs = lengths.map((length) =>
        Math.log(times.get(`${terms} ${length}`)!.medianMs / times.get(`softmax ${length}`)!.medianMs),
      );
      const crossing = crossingOf(lengths, logs);
      // A run of small sizes may end before it, and JSON has no infinity.
      if (crossing === Infinity) continue;
      context.findings.facts[`N from which ${terms} is faster than dense softmax`] = crossing;
    }
  },
};

/** Where a falling curve over log N crosses zero; the first length where it begins below, infinite where it ends above. */
export function crossingOf(lengths: readonly number[], values: readonly number[]): number {
  const after = values.findIndex((_, place) => values.slice(place).every((value) => value < 0));
  if (after === -1) return Infinity;
  if (after === 0) return lengths[0];
  const share = values[after - 1] / (values[after - 1] - values[after]);
  return Math.round(lengths[after - 1] * (lengths[after] / lengths[after - 1]) ** share);
}

/** A token costs the same time and memory after any number of others. */
export const decoding: Part = {
  name: "decoding",
  hasPeers: false,
  async run(context) {
    const stepOf = (length: number): RecurrentStepProblem => ({
      kind: "recurrent-step",
      heads: 4,
      length,
      width: 64,
    });
    const [few, many] = [stepOf(16), stepOf(context.isSmall ? 64 : 65_536)];
    const { times, facts } = await runHeat(context, [own("few", few), own("many", many)]);
    const { firstArenaBytes, firstStateBytes, arenaBytes, stateBytes, tokens } = facts.get("many")!;
    const counts = !context.isSmall;
    const against = `a token after ${few.length}`;
    context.findings.goals.push(
      timeGoal({ against, case: textOf(many), goal: 0.9 }, times.get("many")!, times.get("few")!, counts),
      memoryGoal(
        { against: "its memory after the first token", case: `${textOf(many)}, the state`, goal: 1 },
        stateBytes,
        firstStateBytes,
        counts,
      ),
      memoryGoal(
        { against: "its memory after the first token", case: `${textOf(many)}, the engine`, goal: 1 },
        arenaBytes,
        firstArenaBytes,
        counts,
      ),
    );
    context.findings.facts["µs per token over a recurrent state"] = rounded(
      (1000 * times.get("many")!.medianMs) / tokens,
    );
  },
};

interface PeerRow {
  readonly contestant: ContestantName;
  readonly terms: RecurrenceTerms;
  readonly length: number;
  readonly goal: number;
}

const peerRows: readonly PeerRow[] = [
  // Every state of every token is held there, and takes seconds where N is large.
  { contestant: "jax-recurrence", terms: "linear", length: 512, goal: 5 },
  ...allTerms.flatMap((terms): PeerRow[] => [
    { contestant: "torch-tokens", terms, length: 512, goal: 3 },
    { contestant: "torch-chunks", terms, length: 16_384, goal: 3 },
  ]),
];

/** Cumulative sums in jax-js, loops and chunks in PyTorch. */
export const peers: Part = {
  name: "peers",
  hasPeers: true,
  async run(context) {
    for (const name of new Set(peerRows.map(({ contestant }) => contestant))) {
      await duel(
        context,
        peerRows.filter(({ contestant }) => contestant === name),
      );
    }
  },
};

async function duel(context: Context, rows: readonly PeerRow[]): Promise<void> {
  const problemOf = ({ terms, length }: PeerRow) =>
    recurrenceProblem(terms, context.isSmall ? Math.max(64, length / shorter) : length);
  const { times } = await runHeat(
    context,
    rows.flatMap((row): HeatEntry[] => [
      own(`own ${row.terms}`, problemOf(row)),
      { key: row.terms, contestant: row.contestant, problem: problemOf(row) },
    ]),
  );
  for (const row of rows) {
    const theirs = times.get(row.terms);
    if (theirs === undefined) continue;
    const title = {
      against: context.titleOf(row.contestant),
      case: textOf(problemOf(row)),
      goal: row.goal,
    };
    const goal = timeGoal(title, times.get(`own ${row.terms}`)!, theirs, !context.isSmall);
    context.findings.goals.push(goal);
  }
}
