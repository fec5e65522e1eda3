/** @file Cross-entropy with a class per row: −log softmax(logits)[target], in nats. */
import { lax, numpy as np } from "@jax-js/jax";

/**
 * The loss of every row.
 *
 * @param logits - [M, classes]; consumed
 * @param targets - int32 [M]; consumed
 * @returns [M], in nats
 */
export function crossEntropy(logits: np.Array, targets: np.Array): np.Array {
  const [count, classes] = logits.shape;
  const largest = lax.stopGradient(np.max(logits.ref, -1, { keepdims: true }));
  const shifted = logits.sub(largest);
  const isTarget = targets.reshape([count, 1]).equal(np.arange(classes));
  const right = np.sum(np.where(isTarget, shifted.ref, 0), -1);
  return np.log(np.sum(np.exp(shifted), -1)).sub(right);
}
