/** @file Our dot product against what the micro-kernel alone would need for the products of the pass, on all threads. */
import { type Part } from "../context.ts";
import { rounded, timeGoal } from "../goal.ts";
import { type HeatEntry, runHeat, textOf } from "../heat.ts";
import { attentionProblem } from "../problems.ts";
import { type AttentionProblem } from "../../protocol.ts";
import { type Times } from "../../rounds.ts";

/** Two products forward; five backward, as the scores are computed again. */
const productsOf = { forward: 2, both: 7 } as const;
const goals = { forward: 0.65, both: 0.55 } as const;

export const limit: Part = {
  name: "limit",
  hasPeers: false,
  async run(context) {
    const sizes = { heads: 4, length: context.isSmall ? 256 : 2048, width: 64 };
    const problems = (["dot+full", "dot+causal"] as const).flatMap((selector) =>
      (["forward", "both"] as const).map((direction) => attentionProblem(selector, { ...sizes, direction })),
    );
    const { times, facts } = await runHeat(context, [
      { key: "limit", contestant: "own", problem: { kind: "limit" } },
      ...problems.map((problem): HeatEntry => ({ key: textOf(problem), contestant: "own", problem })),
    ]);
    const measured = times.get("limit")!;
    const { operations } = facts.get("limit")!;
    context.findings.facts["micro_kernel_gflops"] = rounded(operations / measured.medianMs / 1e6);
    for (const problem of problems) {
      const title = {
        against: "the WebAssembly limit",
        case: textOf(problem),
        goal: goals[problem.direction],
      };
      const share = operationsOf(problem) / operations;
      const atLimit: Times = {
        medianMs: share * measured.medianMs,
        quartilesMs: [share * measured.quartilesMs[0], share * measured.quartilesMs[1]],
      };
      context.findings.goals.push(timeGoal(title, times.get(textOf(problem))!, atLimit, !context.isSmall));
    }
  },
};

/** Operations of the products over the pairs that take part. */
function operationsOf({ heads, length, width, isCausal, direction }: AttentionProblem): number {
  const pairs = isCausal ? (length * (length + 1)) / 2 : length * length;
  return productsOf[direction] * 2 * heads * pairs * width;
}
