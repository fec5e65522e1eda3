/**
 * @file Weights before training, as GPT-2 draws them: N(0, 0.02²), and narrower for the projections that write into the
 * residual stream, so that its variance does not grow with depth. Every tensor has a stream of its own, so adding one
 * changes no other.
 */
import { random } from "../base/random.ts";
import { sizeOf, type Tensor, tensor } from "../base/tensor.ts";

/** The deviation of weights and embeddings. */
export const initialDeviation = 0.02;

/**
 * Draws of N(0, deviation²).
 *
 * @param seed - of the run
 * @param name - of the tensor
 */
export function normalWeights(
  seed: number,
  name: string,
  shape: readonly number[],
  scale: number = initialDeviation,
): Tensor {
  return tensor(random(seed, "init", name).normals(sizeOf(shape), scale), shape);
}

/** The deviation of weights that write into the residual stream: 0.02/√(2L), for two such projections in each of L layers. */
export function residualDeviation(layers: number): number {
  return initialDeviation / Math.sqrt(2 * layers);
}
