/** @file A causal convolution over a few tokens, each channel on its own: a head sees its neighbours before it is compared. */
import { numpy as np } from "@jax-js/jax";

/**
 * y_t = Σ_j w_j ⊙ x_{t − (taps − 1 − j)}: the last tap is the token's own.
 *
 * @param x - [B, heads, N, D]; consumed
 * @param weight - [heads, taps, D]; consumed
 * @param before - the taps − 1 tokens before the first, [B, heads, taps − 1, D]; zeros when absent; consumed
 * @returns [B, heads, N, D]
 */
export function shortConvolution(x: np.Array, weight: np.Array, before?: np.Array): np.Array {
  const [batch, heads, length, width] = x.shape;
  const taps = weight.shape[1];
  const all = np.concatenate([before ?? np.zeros([batch, heads, taps - 1, width]), x], 2);
  const terms = Array.from({ length: taps }, (_, tap) => {
    const rows = all.ref.slice([], [], [tap, tap + length]);
    return rows.mul(weight.ref.slice([], [tap, tap + 1]));
  });
  all.dispose();
  weight.dispose();
  return terms.reduce((sum, term) => sum.add(term));
}
