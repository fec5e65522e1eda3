/** @file A training step of the decoder against eager PyTorch, and against the same model all in jax-js. */
import { type Part } from "../context.ts";
import { timeGoal } from "../goal.ts";
import { type HeatEntry, runHeat, textOf } from "../heat.ts";
import { type TrainingProblem } from "../../protocol.ts";

const peers = [
  { contestant: "torch", goal: 1.5 },
  { contestant: "jax-training", goal: 2 },
] as const;

/** Both compute in float32, in another order. */
const lossTolerance = 1e-4;

export const training: Part = {
  name: "training",
  hasPeers: true,
  async run(context) {
    const sizes = context.isSmall
      ? [{ width: 16, batch: 2, length: 8 }]
      : [
          { width: 128, batch: 16, length: 256 },
          { width: 64, batch: 32, length: 64 },
        ];
    for (const size of sizes) {
      const problem: TrainingProblem = { kind: "training", vocabulary: 81, layers: 2, heads: 4, ...size };
      const entries: HeatEntry[] = [
        { key: "own", contestant: "own-training", problem },
        ...peers.map(({ contestant }): HeatEntry => ({ key: contestant, contestant, problem })),
      ];
      const { times, facts } = await runHeat(context, entries);
      const ours = times.get("own");
      if (ours === undefined) throw new Error("Cannot time training as our own step must run: it did not");
      const [loss, other] = [facts.get("own")!["loss"], facts.get("jax-training")?.["loss"] ?? Number.NaN];
      if (Math.abs(loss - other) > lossTolerance) {
        throw new Error(`Cannot time training as both devices must have one loss: ${loss} and ${other}`);
      }
      for (const { contestant, goal } of peers) {
        const peer = times.get(contestant);
        if (peer === undefined) continue;
        const title = { against: context.titleOf(contestant), case: textOf(problem), goal };
        context.findings.goals.push(timeGoal(title, ours, peer, !context.isSmall));
      }
    }
  },
};
