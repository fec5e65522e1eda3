/** @file Selections against our own dense causal attention, and how many of the true nearest keys hashing finds. */
import { type Part } from "../../attention/context.ts";
import { rounded, timeGoal } from "../../attention/goal.ts";
import { type HeatEntry, runHeat, textOf } from "../../attention/heat.ts";
import { attentionProblem, inputsOf } from "../../attention/problems.ts";
import { parseSelector, random } from "../../../src/index.ts";
import { choiceArithmetic } from "../../../src/selections/choice-arithmetic.ts";
import { isFound } from "../../../src/selections/kept-keys.ts";
import { type AttentionProblem } from "../../protocol.ts";

const dense = "dot+causal";
/** A top-k selection reads all scores twice: it may cost so many times the dense attention. */
const mostForTopk = 1.6;
const cases = [
  { selector: "dot+causal+lsh:buckets=64,rounds=4,chunk=32", goal: 10 },
  { selector: "dot+causal+moba:block=256,k=3", goal: 8 },
  { selector: "dot+causal+topk:k=32", goal: rounded(1 / mostForTopk) },
] as const;
const nearest = 32;
const sampledRows = 256;

export const selections: Part = {
  name: "selections",
  hasPeers: false,
  async run(context) {
    const sizes = { heads: 1, length: context.isSmall ? 512 : 16_384, width: 64, isShared: true };
    for (const direction of ["forward", "both"] as const) {
      const problemOf = (selector: string): AttentionProblem =>
        attentionProblem(selector, { ...sizes, direction });
      const entries = [dense, ...cases.map(({ selector }) => selector)].map((selector): HeatEntry => ({
        key: selector,
        contestant: "own",
        problem: problemOf(selector),
      }));
      const { times } = await runHeat(context, entries);
      for (const { selector, goal } of cases) {
        const title = { against: "our own dense causal", case: textOf(problemOf(selector)), goal };
        context.findings.goals.push(
          timeGoal(title, times.get(selector)!, times.get(dense)!, !context.isSmall),
        );
      }
    }
    const problem = attentionProblem(cases[0].selector, sizes);
    const name = `recall of the true top ${nearest} by ${cases[0].selector}, N = ${sizes.length}`;
    context.findings.facts[name] = rounded(recallOf(problem));
  },
};

/** The share of the keys with the largest products, of those before a query, that hashing keeps; over random rows. */
function recallOf(problem: AttentionProblem): number {
  const { q, k } = inputsOf(problem);
  const { width, length } = problem;
  const [queries, keys] = [q, k].map((rows) => rows.subarray(0, length * width));
  const choice = parseSelector(problem.selector).selection!.choose!({
    queries,
    keys,
    width,
    offset: 0,
    places: length,
  });
  const rows = random("bench", "recall").distinct(Math.min(sampledRows, length - nearest), length - nearest);
  let hits = 0;
  for (const row of rows) {
    const query = row + nearest;
    const products = choiceArithmetic.products(
      queries.subarray(query * width, (query + 1) * width),
      keys.subarray(0, query * width),
      width,
    );
    const best = [...products.keys()].sort((a, b) => products[b] - products[a]).slice(0, nearest);
    hits += best.filter((key) => isFound(choice, query, key)).length;
  }
  return hits / (rows.length * nearest);
}
