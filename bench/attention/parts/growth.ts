/** @file The power of N that our time grows with: 2 for dense attention, 1 for a window. */
import { type Part } from "../context.ts";
import { exponentGoal, exponentOf } from "../goal.ts";
import { type HeatEntry, runHeat } from "../heat.ts";
import { attentionProblem, problemText } from "../problems.ts";

const tolerance = 0.1;
const cases = [
  { selector: "dot+causal", exponent: 2, lengths: [2048, 4096, 8192] },
  { selector: "dot+causal+window:w=256", exponent: 1, lengths: [8192, 16_384, 32_768] },
] as const;
/** Lengths of a run that takes seconds are so many times shorter. */
const shorter = 16;

export const growth: Part = {
  name: "growth",
  hasPeers: false,
  async run(context) {
    for (const { selector, exponent, lengths } of cases) {
      const problems = lengths.map((length) =>
        attentionProblem(selector, {
          heads: 4,
          length: context.isSmall ? length / shorter : length,
          width: 64,
        }),
      );
      const { times } = await runHeat(
        context,
        problems.map((problem): HeatEntry => ({ key: String(problem.length), contestant: "own", problem })),
      );
      const points = problems.map(({ length }) => ({
        length,
        timeMs: times.get(String(length))!.medianMs,
      }));
      const title = {
        against: "the power of N in the time",
        case: `${problemText(problems[0])}, 4 heads, N = ${points.map(({ length }) => length).join(", ")}, D = 64`,
        goal: exponent,
      };
      context.findings.goals.push(exponentGoal(title, exponentOf(points), tolerance, !context.isSmall));
    }
  },
};
