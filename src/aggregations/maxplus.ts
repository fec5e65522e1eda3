/** @file The max-plus product of scores and values. */
import { definePart, type PartFactory } from "../base/part.ts";
import { type Aggregation } from "./aggregation.ts";

/**
 * o_e = max_j (s_j + v_je), on scores rather than weights: use `none()` as normaliser. The gradient goes to the first key
 * that attains the maximum; a row without keys gives zeros.
 *
 * @example
 * ```ts
 * import { attention, full, maxplus, none, tropical } from "qklab";
 * const attend = attention({ similarity: tropical(), pattern: full(), normaliser: none(), aggregation: maxplus() });
 * ```
 */
export const maxplus: PartFactory<Aggregation<"maxplus">, object> = definePart<
  Aggregation<"maxplus">,
  object
>(
  {
    kind: "aggregation",
    selector: "maxplus",
    formula: "max_j (s_j + v_j)",
    source: "Hashemi et al. 2025, Tropical Attention",
    rules: {},
  },
  () => ({
    parameters: [],
    needs: "scores",
    forward: (scores, values, { width }) =>
      new Float64Array(width).map((_, e) => {
        const winner = attaining(scores, values, e);
        return winner === -1 ? 0 : scores[winner] + values[winner][e];
      }),
    backward(scores, values, outGradient, valueGradients) {
      const byScore = new Float64Array(scores.length);
      outGradient.forEach((gradient, e) => {
        const winner = attaining(scores, values, e);
        if (winner === -1) return;
        byScore[winner] += gradient;
        valueGradients[winner][e] += gradient;
      });
      return { weights: byScore, parameter: 0 };
    },
  }),
);

/** The first key with the largest s_j + v_je, −1 without keys. */
function attaining(scores: Float64Array, values: readonly Float64Array[], e: number): number {
  return values.reduce(
    (best, value, j) => (best === -1 || scores[j] + value[e] > scores[best] + values[best][e] ? j : best),
    -1,
  );
}
