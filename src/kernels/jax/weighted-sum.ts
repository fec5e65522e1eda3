/** @file Sums of values by weights, in the forms that are fast forward, and fast when jax-js transposes them. */
import { numpy as np } from "@jax-js/jax";
import { groupedRows, transposed, ungroupedRows } from "./array-tools.ts";

/** Σ_j w_j v_j of weights [B, H, Q, S] and values [B, G, S, E]. */
export function weightedSum(weights: np.Array, values: np.Array): np.Array {
  const rows = groupedRows(weights, values.shape[1]);
  return ungroupedRows(np.einsum("bgns,bgse->bgne", rows, values.ref), weights.shape[1]);
}

/**
 * Σ_j w_j v_j for changes of the weights. This form and the next are made for their transposes, which then are
 * products along the axis of their results.
 */
export function sumOfChanges(weights: np.Array, values: np.Array): np.Array {
  const rows = groupedRows(weights, values.shape[1]);
  return ungroupedRows(np.einsum("bgns,bges->bgne", rows, transposed(values)), weights.shape[1]);
}

/** Σ_j w_j v_j for changes of the values. */
export function sumOverKeys(weights: np.Array, values: np.Array): np.Array {
  const [batch, keyHeads, keys, width] = values.shape;
  const rows = groupedRows(weights, keyHeads);
  const sum = rows
    .reshape([batch, keyHeads, rows.shape[2], keys, 1])
    .mul(values.ref.reshape([batch, keyHeads, 1, keys, width]))
    .sum(-2);
  return ungroupedRows(sum, weights.shape[1]);
}
