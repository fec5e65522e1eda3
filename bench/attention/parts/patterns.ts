/** @file Sparse patterns against our own dense causal attention: what is left out must not be computed. */
import { type Part } from "../context.ts";
import { timeGoal } from "../goal.ts";
import { type HeatEntry, runHeat, textOf } from "../heat.ts";
import { attentionProblem } from "../problems.ts";

const dense = "dot+causal";
/** Strides and blocks of about √8192, as is usual for them. */
const sparse = [
  { selector: "dot+causal+window:w=256", goal: 8 },
  { selector: "dot+strided:stride=128,local=128", goal: 5 },
  { selector: "dot+fixed:block=128,columns=8", goal: 5 },
] as const;

export const patterns: Part = {
  name: "patterns",
  hasPeers: false,
  async run(context) {
    const sizes = { heads: 4, length: context.isSmall ? 512 : 8192, width: 64 };
    const entryOf = (selector: string): HeatEntry => ({
      key: selector,
      contestant: "own",
      problem: attentionProblem(selector, sizes),
    });
    const { times } = await runHeat(context, [dense, ...sparse.map(({ selector }) => selector)].map(entryOf));
    for (const { selector, goal } of sparse) {
      const title = {
        against: "our own dense causal",
        case: textOf(attentionProblem(selector, sizes)),
        goal,
      };
      context.findings.goals.push(timeGoal(title, times.get(selector)!, times.get(dense)!, !context.isSmall));
    }
  },
};
