/** @file Rows of a table, and products with all its rows. */
import { numpy as np } from "@jax-js/jax";
import { contiguous } from "./contiguous.ts";
import { linear } from "./linear.ts";

/**
 * Looks rows up. The copies are for the way back: jax-js scatters gradients only from arrays that are already there.
 *
 * @param table - [V, width]; consumed
 * @param rows - int32 [M]; consumed
 * @returns [M, width]
 */
export function takeRows(table: np.Array, rows: np.Array): np.Array {
  return contiguous(np.take(table, contiguous(rows), 0));
}

/** Products with a width that 8 does not divide take 3–5 times as long. */
const fastMultiple = 8;

/**
 * Products of rows with every row of a table; the product is made at a width that 8 divides, and cut.
 *
 * @param x - [M, width]; consumed
 * @param table - [V, width]; consumed
 * @returns [M, V]
 */
export function unembed(x: np.Array, table: np.Array): np.Array {
  const [vocabulary, width] = table.shape;
  const missing = (fastMultiple - (vocabulary % fastMultiple)) % fastMultiple;
  if (missing === 0) return linear(x, table);
  const padded = np.concatenate([table, np.zeros([missing, width])]);
  return linear(x, padded).slice([], [0, vocabulary]);
}
