/** @file Aggregations: how the values of each row are joined by its weights, or by its scores. */
import { numpy as np } from "@jax-js/jax";
import { type Composition } from "../../attention/index.ts";
import { UnsupportedError } from "../../base/errors.ts";
import { groupedRows, sumOf, ungroupedRows } from "./array-tools.ts";
import { centroid } from "./centroid.ts";
import { type Joined } from "./joined.ts";
import { sumOfChanges, sumOverKeys, weightedSum } from "./weighted-sum.ts";
import { type Weighed } from "./weigh.ts";

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
