/** @file A linear layer: x·Wᵀ + b, the weight stored as [out, in] as in PyTorch and Hugging Face. */
import { numpy as np } from "@jax-js/jax";

/**
 * Multiplies rows by a weight.
 *
 * @param x - [..., in]; consumed, as every array is here
 * @param weight - [out, in]
 * @param bias - [out]
 * @returns [..., out]
 */
export function linear(x: np.Array, weight: np.Array, bias?: np.Array): np.Array {
  const product = np.matmul(x, weight.transpose());
  return bias === undefined ? product : product.add(bias);
}
