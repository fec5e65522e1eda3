/**
 * @file The Lorentz centroid of values: μ = M/(√c·L), M = Σ_j w_j (t_j, v_j), t_j = √(1/c + ‖v_j‖²), L² = M₀² − ‖M‖²; of μ the
 * space part is returned.
 *
 * Differences of large terms are avoided in both directions. M₀ − ‖M‖ is summed from Σ w_j (t_j − ‖v_j‖), a quotient, and
 * Σ w_j ‖v_j‖ − ‖M‖ ≥ 0. And ⟨μ, v̂_j⟩_L = −1/c − ‖μ − v̂_j‖²_L/2, so the slope by a weight is a sum of two terms that vanish
 * together when a value lies at the centroid.
 */
import { numpy as np } from "@jax-js/jax";
import { computedOnce, groupedRows, repeatedHeads, stored, sumOf, ungroupedRows } from "./array-tools.ts";
import { type Joined } from "./joined.ts";
import { sumOfChanges, sumOverKeys, weightedSum } from "./weighted-sum.ts";

/**
 * The smallest sum of weights that gives a centroid; a row with less counts as one without keys. The slope by a weight is
 * as large as its reciprocal, times squares of values of up to 1e4, and must stay within float32.
 */
const smallestMass = 1e-25;

/** Squares below this count as zero. */
const smallestSquare = 1e-30;

/**
 * @param weights - [B, H, Q, S], of any scale
 * @param values - [B, G, S, E]
 * @param c - [1, H, 1, 1]
 * @param known - the result of an earlier call with the same inputs
 */
export function centroid(
  weights: np.Array,
  values: np.Array,
  c: np.Array,
  known: np.Array | undefined,
): Joined {
  const [batch, heads, queries, keys] = weights.shape;
  const perKey = (x: np.Array): np.Array => repeatedHeads(x, heads).reshape([batch, heads, 1, keys]);
  const perRow = (weights: np.Array, x: np.Array): np.Array =>
    np
      .einsum(
        "bhqs,bhs->bhq",
        weights.ref,
        np.broadcastTo(x.ref, [batch, heads, 1, keys]).reshape([batch, heads, keys]),
      )
      .reshape([batch, heads, queries, 1]);
  const squareOf = (rows: np.Array): np.Array => np.square(rows.ref).sum(-1, { keepdims: true });
  const timeOf = (squares: np.Array): np.Array =>
    computedOnce(np.sqrt(squares.ref.add(np.reciprocal(c.ref))));

  const squares = perKey(np.square(values.ref).sum(-1));
  const norms = computedOnce(np.sqrt(np.maximum(squares.ref, smallestSquare)));
  const times = timeOf(squares);
  const gaps = computedOnce(np.reciprocal(times.ref.add(norms.ref).mul(c.ref)));

  const mass = weights.ref.sum(-1, { keepdims: true });
  const hasKeys = np.greater(mass.ref, smallestMass);
  // The scale of the weights cancels in the result: sums are of weights with the sum 1.
  const scale = computedOnce(np.where(hasKeys.ref, np.reciprocal(np.maximum(mass, smallestMass)), 0));
  const space = weightedSum(weights, values).mul(scale.ref);
  const length = np.sqrt(squareOf(space));
  const gap = perRow(weights, gaps).mul(scale.ref);
  const norm = perRow(weights, norms).mul(scale.ref);
  const squaredLength = np.maximum(norm.ref.sub(length.ref), 0).add(gap.ref).mul(norm.add(length).add(gap));
  const inverse = np.reciprocal(np.sqrt(np.maximum(squaredLength.mul(c.ref), smallestSquare)));
  const factor = computedOnce(np.where(hasKeys, inverse, 0));
  const out = known?.ref ?? space.mul(factor.ref);

  return {
    out,
    tangent({ weighed, values: dValues, parameter: dC }) {
      const time = timeOf(squareOf(out));
      const slope = weighed.weights === undefined ? undefined : weighed.weights.ref.mul(scale.ref);
      const dSpace = dValues === undefined ? undefined : sumOverKeys(weights, dValues).mul(scale.ref);
      const dTimes = sumOf([
        dValues === undefined ? undefined : perKey(values.ref.mul(dValues.ref).sum(-1)),
        dC?.ref.div(np.square(c.ref).mul(-2)),
      ])?.div(times.ref);
      const dTime = dTimes === undefined ? undefined : perRow(weights, dTimes).mul(scale.ref);
      const along = sumOf([
        dSpace === undefined ? undefined : out.ref.mul(dSpace.ref).sum(-1, { keepdims: true }),
        dTime?.mul(time.ref.neg()),
        slope?.ref
          .mul(distances(out, time, squares, times, values))
          .sum(-1, { keepdims: true })
          .mul(-0.5),
      ]);
      const across = sumOf([
        dSpace?.ref,
        slope === undefined ? undefined : sumOfChanges(slope, values),
        slope === undefined ? undefined : out.ref.mul(slope.ref.sum(-1, { keepdims: true })).neg(),
        along === undefined ? undefined : out.ref.mul(along.mul(c.ref)),
      ]);
      return sumOf([
        across?.mul(factor.ref),
        dC === undefined ? undefined : out.ref.mul(dC.ref.div(c.ref.mul(-2))),
      ]);
    },
  };
}

/** ‖μ_i − v̂_j‖²_L = ‖μ_i − v_j‖² − (μ₀ − t_j)² of all pairs, the first by differences, the second by a quotient. */
function distances(
  out: np.Array,
  time: np.Array,
  squares: np.Array,
  times: np.Array,
  values: np.Array,
): np.Array {
  const [batch, keyHeads, keys, width] = values.shape;
  const rows = groupedRows(out, keyHeads);
  const differences = rows
    .reshape([batch, keyHeads, rows.shape[2], 1, width])
    .sub(values.ref.reshape([batch, keyHeads, 1, keys, width]));
  const inSpace = stored(ungroupedRows(np.square(differences).sum(-1), out.shape[1]));
  const ofRow = np.square(out.ref).sum(-1, { keepdims: true });
  const inTime = ofRow.sub(squares.ref).div(time.ref.add(times.ref));
  return np.maximum(inSpace.sub(np.square(inTime)), 0);
}
