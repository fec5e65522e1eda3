/**
 * @file Small tools over jax-js. The files of the composition are traced by `jit`, where a reference costs nothing: their
 * functions write `x.ref` for every use and leave their arguments alone.
 */
import { lax, numpy as np } from "@jax-js/jax";

/** A value in formulas: an array, or a number that kernels hold as a constant. */
export type ArrayOrNumber = np.Array | number;

/**
 * The same numbers, computed once. jax-js folds elementwise work into every kernel that reads its result, so a root per
 * query is otherwise taken again for every pair; it never folds a sum, not even over one number.
 *
 * @param x - consumed
 */
export function computedOnce(x: np.Array): np.Array {
  return x.reshape([...x.shape, 1]).sum(-1);
}

/**
 * A sum without further work in its own kernel, where jax-js would do it number by number: what is read twice is stored
 * first. Not for what is differentiated by jax-js.
 *
 * @param sum - consumed
 */
export function stored(sum: np.Array): np.Array {
  return np.maximum(sum.ref, sum);
}

/**
 * The last two axes exchanged, and the numbers laid out anew: a product reads its second operand fastest along the axis
 * of its result. Two negations are exact, and jax-js keeps them.
 */
export function transposed(x: np.Array): np.Array {
  const axes = x.shape.map((_, axis) => axis);
  const [last, beforeLast] = [axes.pop()!, axes.pop()!];
  return x.ref
    .transpose([...axes, last, beforeLast])
    .neg()
    .neg();
}

/** Zero with derivative one. The compiler sees from the bounds that it is zero, and drops what is multiplied by it. */
export function zeroOf(x: np.Array): np.Array {
  return np.minimum(np.maximum(x.ref.sub(lax.stopGradient(x.ref)), 0), 0);
}

/** −1, 0 or 1; 0 at 0. */
export function signOf(x: np.Array): np.Array {
  return np.where(np.greater(x.ref, 0), 1, np.where(np.less(x.ref, 0), -1, 0));
}

/** The sum of what is there. */
export function sumOf(terms: readonly (np.Array | undefined)[]): np.Array | undefined {
  const present = terms.filter((term) => term !== undefined);
  return present.length === 0 ? undefined : present.reduce((sum, term) => sum.add(term));
}

/** Key heads [B, G, …] repeated for the query heads that share them, [B, H, …]. */
export function repeatedHeads(x: np.Array, heads: number): np.Array {
  const [batch, keyHeads, ...rest] = x.shape;
  if (keyHeads === heads) return x.ref;
  const shared = x.ref.reshape([batch, keyHeads, 1, ...rest]);
  return np
    .broadcastTo(shared, [batch, keyHeads, heads / keyHeads, ...rest])
    .reshape([batch, heads, ...rest]);
}

/**
 * The rows of query heads that share a key head as one list, so that products need no repeated keys: [B, H, rows, …] to
 * [B, G, (H/G)·rows, …].
 */
export function groupedRows(x: np.Array, keyHeads: number): np.Array {
  const [batch, heads, rows, ...rest] = x.shape;
  return x.ref.reshape([batch, keyHeads, (heads / keyHeads) * rows, ...rest]);
}

/** The way back from {@link groupedRows}. */
export function ungroupedRows(x: np.Array, heads: number): np.Array {
  const [batch, keyHeads, rows, ...rest] = x.shape;
  return x.ref.reshape([batch, heads, (keyHeads * rows) / heads, ...rest]);
}
