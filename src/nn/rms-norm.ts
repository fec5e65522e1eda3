/** @file RMSNorm: x / √(mean x² + ε) · weight (Zhang & Sennrich 2019). */
import { numpy as np } from "@jax-js/jax";
import { normEpsilon } from "../kernels/reference/norm.ts";

/**
 * Scales rows to unit mean square.
 *
 * @param x - [..., width]; consumed
 * @param weight - [width]
 */
export function rmsNorm(x: np.Array, weight: np.Array, epsilon: number = normEpsilon): np.Array {
  const meanSquare = np.mean(np.square(x.ref), -1, { keepdims: true });
  return x.mul(np.reciprocal(np.sqrt(meanSquare.add(epsilon)))).mul(weight);
}
