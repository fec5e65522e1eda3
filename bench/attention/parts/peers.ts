/** @file Ours against every other library, each on what it can do: a row is a contestant, a problem and a goal. */
import { type AttentionProblem } from "../../protocol.ts";
import { type ContestantName } from "../../roster.ts";
import { type Context, type Part } from "../context.ts";
import { distanceFromFrechetMean, meanTolerance } from "../correctness.ts";
import { timeGoal } from "../goal.ts";
import { type HeatEntry, runHeat, textOf } from "../heat.ts";
import { attentionProblem } from "../problems.ts";

interface Row {
  readonly contestant: ContestantName;
  readonly problem: AttentionProblem;
  readonly goal: number;
  readonly judge?: HeatEntry["judge"];
}

/** All rows of one part are timed in the same rounds. */
function peerPart(name: string, rowsOf: (isSmall: boolean) => readonly Row[]): Part {
  return {
    name,
    hasPeers: true,
    run: (context) => duel(context, rowsOf(context.isSmall)),
  };
}

async function duel(context: Context, rows: readonly Row[]): Promise<void> {
  const problems = [...new Map(rows.map(({ problem }) => [JSON.stringify(problem), problem])).values()];
  const keyOf = (contestant: ContestantName, problem: AttentionProblem): string =>
    `${contestant} ${JSON.stringify(problem)}`;
  const { times } = await runHeat(context, [
    ...problems.map((problem): HeatEntry => ({ key: keyOf("own", problem), contestant: "own", problem })),
    ...rows.map(({ contestant, problem, judge }): HeatEntry => ({
      key: keyOf(contestant, problem),
      contestant,
      problem,
      ...(judge === undefined ? {} : { judge }),
    })),
  ]);
  for (const { contestant, problem, goal } of rows) {
    const peer = times.get(keyOf(contestant, problem));
    if (peer === undefined) continue;
    const title = { against: context.titleOf(contestant), case: textOf(problem), goal };
    const ours = times.get(keyOf("own", problem))!;
    context.findings.goals.push(timeGoal(title, ours, peer, !context.isSmall));
  }
}

export const onnxruntime: Part = peerPart("onnxruntime", (isSmall) => {
  const sizes = { heads: 4, length: isSmall ? 128 : 2048, width: 64 };
  const [full, causal] = [attentionProblem("dot+full", sizes), attentionProblem("dot+causal", sizes)];
  return [
    { contestant: "onnxruntime-node", problem: full, goal: 0.9 },
    { contestant: "onnxruntime-node", problem: causal, goal: 3 },
    { contestant: "onnxruntime-web", problem: full, goal: 4 },
    { contestant: "onnxruntime-web", problem: causal, goal: 7 },
  ];
});

const trainingProblem = (selector: string, isSmall: boolean): AttentionProblem =>
  attentionProblem(selector, {
    batch: isSmall ? 1 : 2,
    heads: 4,
    length: isSmall ? 96 : 1024,
    width: 32,
    direction: "both",
  });

export const jax: Part = peerPart("jax", (isSmall) => [
  { contestant: "jax", problem: trainingProblem("dot+causal", isSmall), goal: 12 },
  { contestant: "jax-composition", problem: trainingProblem("l2+causal", isSmall), goal: 12 },
  { contestant: "jax-composition", problem: trainingProblem("poincare+causal", isSmall), goal: 12 },
]);

export const torch: Part = peerPart("torch", (isSmall) => [
  { contestant: "torch", problem: trainingProblem("dot+causal", isSmall), goal: 6 },
  { contestant: "torch", problem: trainingProblem("l2+causal", isSmall), goal: 8 },
  { contestant: "torch", problem: trainingProblem("l1+causal", isSmall), goal: 4 },
  { contestant: "torch", problem: trainingProblem("poincare+causal", isSmall), goal: 8 },
]);

export const ruvector: Part = peerPart("ruvector", (isSmall) => {
  // Points well inside the ball, where float32 of either side has all its digits; one head, as it takes seconds for each.
  const spread = 0.1;
  const problem = attentionProblem("poincare+full+centroid", {
    heads: 1,
    length: isSmall ? 32 : 512,
    width: 64,
    spread,
  });
  const judge = {
    errorOf: (results: Readonly<Record<string, Float32Array>>) => distanceFromFrechetMean(problem, results),
    tolerance: meanTolerance,
  };
  return [{ contestant: "ruvector", problem, goal: 100, judge }];
});

export const tfjs: Part = peerPart("tfjs", (isSmall) => {
  const problem = attentionProblem("dot+full", { heads: 4, length: isSmall ? 64 : 512, width: 64 });
  return [{ contestant: "tfjs", problem, goal: 10 }];
});
