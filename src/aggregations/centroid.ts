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
      const joined = join(weights, values, width, curvature);
      if (joined === undefined) return new Float64Array(width);
      return joined.space.map((coordinate) => coordinate / (Math.sqrt(curvature) * joined.length));
    },
    backward(weights, values, outGradient, valueGradients, { width, parameter }) {
      const curvature = parameter ?? 1;
      const joined = join(weights, values, width, curvature);
      if (joined === undefined) return { weights: weights.map(() => 0), parameter: 0 };
      const { mass, shares, space, time, length, times } = joined;
      const scale = 1 / (Math.sqrt(curvature) * length);
      const alongGradient = outGradient.reduce((sum, gradient, e) => sum + gradient * space[e], 0);
      const bySpace = outGradient.map(
        (gradient, e) => scale * (gradient + (space[e] * alongGradient) / length ** 2),
      );
      const byTime = (-scale * alongGradient * time) / length ** 2;
      let byCurvature = (-0.5 * scale * alongGradient) / curvature;
      const byWeight = shares.map((share, j) => {
        byCurvature -= (byTime * share) / (2 * curvature ** 2 * times[j]);
        const byShare = bySpace.reduce((sum, gradient, e) => {
          valueGradients[j][e] += share * (gradient + (byTime * values[j][e]) / times[j]);
          return sum + gradient * values[j][e];
        }, byTime * times[j]);
        return byShare / mass;
      });
      return { weights: byWeight, parameter: byCurvature };
    },
  }),
);

/** Below this mass a row counts as empty: its shares would not be numbers any more. */
const smallestMass = 2 ** -1022;

interface Joined {
  /** W = Σ w. */
  readonly mass: number;
  /** p = w/W: the centroid does not change when all weights are multiplied by one number. */
  readonly shares: Float64Array;
  /** Space part m of M = Σ p v̂. */
  readonly space: Float64Array;
  /** Time part of M. */
  readonly time: number;
  /** √(M₀² − ‖M‖²). */
  readonly length: number;
  /** Times v̂₀ of the lifted values. */
  readonly times: Float64Array;
}

/**
 * M = Σ p v̂, `undefined` for a row without weight.
 *
 * The length is √(1/c + e(2t + e)), t the time of the lifted m, e = Σ p(v̂₀ − t) ≥ 0: without the cancellation of
 * √(M₀² − ‖M‖²), which loses the 1/c of far values.
 */
function join(
  weights: Float64Array,
  values: readonly Float64Array[],
  width: number,
  c: number,
): Joined | undefined {
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  if (mass < smallestMass) return undefined;
  const shares = weights.map((weight) => weight / mass);
  const space = new Float64Array(width);
  values.forEach((value, j) => value.forEach((coordinate, e) => (space[e] += shares[j] * coordinate)));
  const timeOf = (vector: Float64Array): number =>
    Math.sqrt(1 / c + vector.reduce((sum, coordinate) => sum + coordinate ** 2, 0));
  const times = Float64Array.from(values, timeOf);
  const meanTime = timeOf(space);
  let excess = 0;
  values.forEach((value, j) => {
    const normDifference = value.reduce((sum, x, e) => sum + (x - space[e]) * (x + space[e]), 0);
    excess += (shares[j] * normDifference) / (times[j] + meanTime);
  });
  excess = Math.max(excess, 0);
  const length = Math.sqrt(1 / c + excess * (2 * meanTime + excess));
  return { mass, shares, space, time: meanTime + excess, length, times };
}
