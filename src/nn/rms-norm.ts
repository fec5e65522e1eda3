/** @file RMSNorm: x / √(mean x² + ε) · weight (Zhang & Sennrich 2019). */
import { numpy as np } from "@jax-js/jax";

/** ε of Llama's later models; that of the ONNX standard is the same. */
export const normEpsilon = 1e-5;

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
