/** @file LayerNorm: (x − mean) / √(variance + ε) · weight + bias (Ba, Kiros & Hinton 2016). */
import { numpy as np } from "@jax-js/jax";
import { normEpsilon } from "../kernels/reference/norm.ts";

/**
 * Shifts rows to zero mean and scales them to unit variance.
 *
 * @param x - [..., width]; consumed
 * @param weight - [width]
 * @param bias - [width]
 */
export function layerNorm(
  x: np.Array,
  weight: np.Array,
  bias: np.Array,
  epsilon: number = normEpsilon,
): np.Array {
  const centred = x.ref.sub(np.mean(x, -1, { keepdims: true }));
  const variance = np.mean(np.square(centred.ref), -1, { keepdims: true });
  return centred
    .mul(np.reciprocal(np.sqrt(variance.add(epsilon))))
    .mul(weight)
    .add(bias);
}
