/** @file The token shift of RWKV inside stages of jax-js: each token beside the one before it, and mixtures of the two. */
import { numpy as np } from "@jax-js/jax";

/** A token beside the one before it, as rows. */
export interface Neighbours {
  /** [B·N, C] */
  readonly own: np.Array;
  /** x_{t−1} − x_t, [B·N, C] */
  readonly difference: np.Array;
}

/**
 * The rows of tokens beside those before them.
 *
 * @param rows - [B·N, C]
 * @param before - what stands before the first token of each sequence, [B, 1, C]; zeros when absent
 */
export function neighbours(rows: np.Array, batch: number, before: np.Array | undefined): Neighbours {
  const [count, width] = rows.shape;
  const length = count / batch;
  const sequences = rows.ref.reshape([batch, length, width]);
  const all = np.concatenate([before ?? np.zeros([batch, 1, width]), sequences], 1);
  const shifted = all.slice([], [0, length]).reshape([count, width]);
  return { own: rows.ref, difference: shifted.sub(rows) };
}

/** x + δ⊙share, and neither x nor δ is consumed. */
export function towards({ own, difference }: Neighbours, share: np.Array): np.Array {
  return own.ref.add(difference.ref.mul(flat(share)));
}

/** μ⊙x + (1 − μ)⊙x_{t−1} = x + δ⊙(1 − μ). */
export function sharing(rows: Neighbours, share: np.Array): np.Array {
  return towards(rows, np.subtract(1, share));
}

export function free({ own, difference }: Neighbours): void {
  own.dispose();
  difference.dispose();
}

/** [1, 1, C] as [C]. */
export const flat = (vector: np.Array): np.Array => vector.reshape([vector.size]);
