/** @file The weighted sum of values. */
import { definePart, type PartFactory } from "../base/part.ts";
import { type Aggregation } from "./aggregation.ts";

/**
 * o = Σ_j w_j v_j.
 *
 * @example
 * ```ts
 * import { attention, causal, l2, mean } from "qklab";
 * const attend = attention({ similarity: l2(), pattern: causal(), aggregation: mean() });
 * ```
 */
export const mean: PartFactory<Aggregation<"mean">, object> = definePart<Aggregation<"mean">, object>(
  {
    kind: "aggregation",
    selector: "mean",
    formula: "Σ_j w_j v_j",
    source: "Vaswani et al. 2017, eq. 1",
    rules: {},
  },
  () => ({
    parameters: [],
    needs: "weights",
    forward(weights, values, { width }) {
      const out = new Float64Array(width);
      values.forEach((value, j) => value.forEach((coordinate, e) => (out[e] += weights[j] * coordinate)));
      return out;
    },
    backward(weights, values, outGradient, valueGradients) {
      const byWeight = weights.map((weight, j) =>
        outGradient.reduce((sum, gradient, e) => {
          valueGradients[j][e] += weight * gradient;
          return sum + gradient * values[j][e];
        }, 0),
      );
      return { weights: byWeight, parameter: 0 };
    },
  }),
);
