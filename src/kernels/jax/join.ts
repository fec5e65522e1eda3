/** @file Aggregations: how the values of each row are joined by its weights, or by its scores. */
import { jvp, numpy as np } from "@jax-js/jax";
import { type Composition } from "../../attention/index.ts";
import { UnsupportedError } from "../../base/errors.ts";
import { computedOnce, groupedRows, repeatedHeads, sumOf, transposed, ungroupedRows } from "./array-tools.ts";
import { type Weighed, type WeighedTangent } from "./weigh.ts";

/** How what is joined changes. */
export interface JoinChanges {
  readonly weighed: WeighedTangent;
  readonly values: np.Array | undefined;
  readonly parameter: np.Array | undefined;
}

/** The joined values. */
export interface Joined {
  /** [B, H, Q, E]; zeros for a row without keys. */
  readonly out: np.Array;
  readonly tangent: (changes: JoinChanges) => np.Array | undefined;
}

/**
 * Joins values.
 *
 * @param weighed - the weights
 * @param values - [B, G, S, E]
 * @param parameter - the aggregation's own, [1, H, 1, 1]
 * @param known - the output of an earlier call with the same inputs
 */
export function join(
  { aggregation }: Composition,
  weighed: Weighed,
  values: np.Array,
  parameter: np.Array | undefined,
  known: np.Array | undefined,
): Joined {
  switch (aggregation.name) {
    case "mean":
      return mean(weighed, values, known);
    case "centroid":
      return centroid(weighed.weights, values, parameter!, known);
    case "maxplus":
      return maxplus(weighed.weights, values, known);
    default:
      throw new UnsupportedError(
        "jax-aggregation",
        `Cannot join values by '${aggregation.name}' on jax-js as it knows mean, centroid and maxplus: '${aggregation.name}'. ` +
          "Use the reference backend",
      );
  }
}

/** Σ_j w_j v_j / divisor. */
function mean({ weights, statistics }: Weighed, values: np.Array, known: np.Array | undefined): Joined {
  const divided = (x: np.Array): np.Array => (statistics === undefined ? x : x.div(statistics.divisor.ref));
  const out = known?.ref ?? divided(weightedSum(weights, values));
  return {
    out,
    tangent({ weighed, values: dValues }) {
      const sum = sumOf([
        weighed.weights === undefined ? undefined : sumOfChanges(weighed.weights, values),
        dValues === undefined ? undefined : sumOverKeys(weights, dValues),
        weighed.divisor === undefined ? undefined : out.ref.mul(weighed.divisor.ref).neg(),
      ]);
      return sum === undefined ? undefined : divided(sum);
    },
  };
}

function weightedSum(weights: np.Array, values: np.Array): np.Array {
  const rows = groupedRows(weights, values.shape[1]);
  return ungroupedRows(np.einsum("bgns,bgse->bgne", rows, values.ref), weights.shape[1]);
}

/**
 * Σ_j w_j v_j for changes of the weights. This form and the next are for what their transposes read: products along the
 * axis of their results.
 */
function sumOfChanges(weights: np.Array, values: np.Array): np.Array {
  const rows = groupedRows(weights, values.shape[1]);
  return ungroupedRows(np.einsum("bgns,bges->bgne", rows, transposed(values)), weights.shape[1]);
}

/** Σ_j w_j v_j for changes of the values. */
function sumOverKeys(weights: np.Array, values: np.Array): np.Array {
  const [batch, keyHeads, keys, width] = values.shape;
  const rows = groupedRows(weights, keyHeads);
  const sum = rows
    .reshape([batch, keyHeads, rows.shape[2], keys, 1])
    .mul(values.ref.reshape([batch, keyHeads, 1, keys, width]))
    .sum(-2);
  return ungroupedRows(sum, weights.shape[1]);
}

/**
 * The smallest sum of weights that gives a centroid; a row with less counts as one without keys. The slope by a weight is
 * as large as its reciprocal, times squares of values of up to 1e4, and must stay within float32.
 */
const smallestMass = 1e-25;

function centroid(weights: np.Array, values: np.Array, c: np.Array, known: np.Array | undefined): Joined {
  // The scale of the weights cancels in the result, so it does so in its derivative: here it is a constant.
  const mass = weights.ref.sum(-1, { keepdims: true });
  const hasKeys = np.greater(mass.ref, smallestMass);
  const scale = computedOnce(np.where(hasKeys.ref, np.reciprocal(np.maximum(mass, smallestMass)), 0));
  const outOf = (weights: np.Array, values: np.Array, c: np.Array): np.Array =>
    np.where(hasKeys.ref, centroidOf(weights, values, c, scale), 0);
  return {
    out: known?.ref ?? outOf(weights, values, c),
    tangent({ weighed, values: dValues, parameter: dC }) {
      const changeOf = (x: np.Array, change: np.Array | undefined): np.Array =>
        change?.ref ?? np.zerosLike(x.ref);
      const [out, change] = jvp(outOf, [weights.ref, values.ref, c.ref] as [np.Array, np.Array, np.Array], [
        changeOf(weights, weighed.weights),
        changeOf(values, dValues),
        changeOf(c, dC),
      ]);
      out.dispose();
      return change;
    },
  };
}

/** Squares below this count as zero; their root has a finite derivative. */
const smallestSquare = 1e-30;

/**
 * Space part of M/(√c·√(M₀² − ‖M‖²)), M = Σ_j w_j (t_j, v_j), t_j = √(1/c + ‖v_j‖²).
 *
 * M₀ − ‖M‖ is summed from parts that are not negative, Σ w_j (t_j − ‖v_j‖) and Σ w_j ‖v_j‖ − ‖M‖, the first as a quotient:
 * far from the origin a difference of sums keeps no digit.
 *
 * @param scale - a factor on the weights of each row, [B, H, Q, 1]
 */
function centroidOf(weights: np.Array, values: np.Array, c: np.Array, scale: np.Array): np.Array {
  const [batch, heads, queries, keys] = weights.shape;
  const squares = repeatedHeads(np.square(values.ref).sum(-1), heads).reshape([batch, heads, 1, keys]);
  const norms = np.sqrt(np.maximum(squares.ref, smallestSquare));
  const times = np.sqrt(squares.ref.add(np.reciprocal(c.ref)));
  const gaps = np.reciprocal(times.add(norms.ref).mul(c.ref));
  const perRow = (perKey: np.Array): np.Array =>
    np
      .einsum("bhqs,bhs->bhq", weights.ref, perKey.ref.reshape([batch, heads, keys]))
      .reshape([batch, heads, queries, 1])
      .mul(scale.ref);
  const gap = perRow(gaps);
  const norm = perRow(norms);
  const space = weightedSum(weights, values).mul(scale.ref);
  const length = np.sqrt(np.maximum(np.square(space.ref).sum(-1, { keepdims: true }), smallestSquare));
  const difference = np.maximum(norm.ref.sub(length.ref), 0).add(gap.ref);
  const squaredLength = difference.mul(norm.add(length).add(gap));
  return space.div(np.sqrt(np.maximum(squaredLength.mul(c.ref), smallestSquare)));
}

/** max_j (s_j + v_j); the first key that attains it changes the result. */
function maxplus(scores: np.Array, values: np.Array, known: np.Array | undefined): Joined {
  const heads = scores.shape[1];
  const [batch, keyHeads, keys, width] = values.shape;
  const grouped = groupedRows(scores, keyHeads);
  const rows = grouped.shape[2];
  const spreadScores = (x: np.Array): np.Array =>
    groupedRows(x, keyHeads).reshape([batch, keyHeads, rows, keys, 1]);
  const spreadValues = (x: np.Array): np.Array => x.ref.reshape([batch, keyHeads, 1, keys, width]);
  const sums = (): np.Array => spreadScores(scores).add(spreadValues(values));
  const largest = sums().max(-2, { keepdims: true });
  const found = np
    .where(np.greater(largest.ref, -Infinity), largest.ref, 0)
    .reshape([batch, keyHeads, rows, width]);
  return {
    out: known?.ref ?? ungroupedRows(found, heads),
    tangent({ weighed, values: dValues }) {
      const places = np.arange(keys).reshape([keys, 1]);
      const attains = np.logicalAnd(np.greater(sums(), -Infinity), np.equal(sums(), largest.ref));
      const first = np.where(attains, places.ref, keys).min(-2, { keepdims: true });
      const ofFirst = (x: np.Array): np.Array => np.where(np.equal(places.ref, first.ref), x, 0).sum(-2);
      const sum = sumOf([
        weighed.weights === undefined ? undefined : ofFirst(spreadScores(weighed.weights)),
        dValues === undefined ? undefined : ofFirst(spreadValues(dValues)),
      ]);
      return sum === undefined ? undefined : ungroupedRows(sum, heads);
    },
  };
}
