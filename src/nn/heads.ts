/** @file Between rows of a model, [B·N, heads·width], and the layout of attention, [B, heads, N, width]. */
import { type numpy as np } from "@jax-js/jax";
import { contiguous } from "./contiguous.ts";

/**
 * Rows to heads.
 *
 * @param rows - [B·N, heads·width]; consumed
 * @returns [B, heads, N, width]
 */
export function splitHeads(rows: np.Array, batch: number, heads: number): np.Array {
  const [count, width] = rows.shape;
  return rows.reshape([batch, count / batch, heads, width / heads]).transpose([0, 2, 1, 3]);
}

/**
 * Heads to rows.
 *
 * @param heads - [B, heads, N, width]; consumed
 * @returns [B·N, heads·width]
 */
export function mergeHeads(heads: np.Array): np.Array {
  const [batch, count, length, width] = heads.shape;
  return contiguous(heads.transpose([0, 2, 1, 3]).reshape([batch * length, count * width]));
}
