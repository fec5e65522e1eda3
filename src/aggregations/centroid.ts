/**
 * @file The Lorentz centroid of values: they are lifted to the hyperboloid of curvature −c, joined linearly and brought
 * back by their Minkowski length. It equals the Einstein midpoint.
 */
import { numberOption } from "../base/options.ts";
import { headParameter, positive } from "../base/parameter.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Aggregation } from "./aggregation.ts";

/** Options of {@link centroid}. */
export interface CentroidOptions {
  readonly c?: number | "learned";
}

/**
 * o = space part of M/(√c·√(M₀² − ‖M‖²)), M = Σ_j w_j (√(1/c + ‖v_j‖²), v_j). A row without weight gives zeros.
 *
 * @param options - `c`: a number > 0 (default 1) or `learned`
 * @example
 * ```ts
 * import { attention, causal, centroid, lorentz } from "qklab";
 * const attend = attention({ similarity: lorentz(), pattern: causal(), aggregation: centroid() });
 * ```
 */
export const centroid: PartFactory<Aggregation<"centroid">, CentroidOptions> = definePart<
  Aggregation<"centroid">,
  CentroidOptions
>(
  {
    kind: "aggregation",
    selector: "centroid",
    formula: "Σ w v̂ / (√c·√|⟨Σ w v̂, Σ w v̂⟩_L|), space part",
    source: "Law et al. 2019, Lorentzian Distance Learning, eq. 11",
    rules: { c: numberOption("positive", "learned") },
  },
  ({ c }) => ({
    parameters: [headParameter("centroid.c", positive(1), c)],
    needs: "non-negative weights",
    forward(weights, values, { width, parameter }) {
      const curvature = parameter ?? 1;
      const { space, length } = join(weights, values, width, curvature);
      return length === 0 ? space : space.map((coordinate) => coordinate / (Math.sqrt(curvature) * length));
    },
    backward(weights, values, outGradient, valueGradients, { width, parameter }) {
      const curvature = parameter ?? 1;
      const { space, time, length, times } = join(weights, values, width, curvature);
      if (length === 0) return { weights: weights.map(() => 0), parameter: 0 };
      const scale = 1 / (Math.sqrt(curvature) * length);
      const alongGradient = outGradient.reduce((sum, gradient, e) => sum + gradient * space[e], 0);
      const bySpace = outGradient.map(
        (gradient, e) => scale * (gradient + (space[e] * alongGradient) / length ** 2),
      );
      const byTime = (-scale * alongGradient * time) / length ** 2;
      let byCurvature = (-0.5 * scale * alongGradient) / curvature;
      const byWeight = weights.map((weight, j) => {
        byCurvature -= (byTime * weight) / (2 * curvature ** 2 * times[j]);
        return bySpace.reduce((sum, gradient, e) => {
          valueGradients[j][e] += weight * (gradient + (byTime * values[j][e]) / times[j]);
          return sum + gradient * values[j][e];
        }, byTime * times[j]);
      });
      return { weights: byWeight, parameter: byCurvature };
    },
  }),
);

/** M = Σ w v̂ as space and time parts, with its Minkowski length and the lifted values' times. */
function join(
  weights: Float64Array,
  values: readonly Float64Array[],
  width: number,
  c: number,
): { space: Float64Array; time: number; length: number; times: Float64Array } {
  const space = new Float64Array(width);
  const times = new Float64Array(values.length);
  let time = 0;
  values.forEach((value, j) => {
    times[j] = Math.sqrt(1 / c + value.reduce((sum, coordinate) => sum + coordinate ** 2, 0));
    time += weights[j] * times[j];
    value.forEach((coordinate, e) => (space[e] += weights[j] * coordinate));
  });
  const spaceLength = Math.sqrt(space.reduce((sum, coordinate) => sum + coordinate ** 2, 0));
  return { space, time, times, length: Math.sqrt((time - spaceLength) * (time + spaceLength)) };
}
