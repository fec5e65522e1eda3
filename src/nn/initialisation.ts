/**
 * @file Weights before training: N(0, 0.02²) at GPT-2's width of 768, wider for narrower models so that products keep their
 * size, and narrower for the projections that write into the residual stream, so that its variance does not grow with depth.
 * Every tensor has a stream of its own, so adding one changes no other.
 */
import { random } from "../base/random.ts";
import { sizeOf, type Tensor, tensor } from "../base/tensor.ts";

/**
 * The deviation of a model's weights and embeddings, 0.02·√(768/width).
 *
 * @param width - of the residual stream
 */
export function weightDeviation(width: number): number {
  return 0.02 * Math.sqrt(768 / width);
}

/** The deviation of weights that write into the residual stream: less by √(2L), for two such projections in each of L layers. */
export function residualDeviation(width: number, layers: number): number {
  return weightDeviation(width) / Math.sqrt(2 * layers);
}

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
  deviation: number,
): Tensor {
  return tensor(random(seed, "init", name).normals(sizeOf(shape), deviation), shape);
}
