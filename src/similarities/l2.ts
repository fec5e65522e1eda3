/** @file Squared Euclidean distance: −β‖q−k‖². */
import { positive } from "../base/parameter.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * Negative squared Euclidean distance, s_ij = −β‖q_i − k_j‖² = β(2 q·k − ‖k‖²) − β‖q‖²: a dot product with a key bias,
 * plus a row term that softmax does not see.
 *
 * @param options - `beta`: a number > 0 (default 1/(2√D)), `learned` or `auto`
 * @example
 * ```ts
 * import { attention, causal, l2 } from "qklab";
 * const attend = attention({ similarity: l2({ beta: 0.5 }), pattern: causal() });
 * ```
 */
export const l2: SimilarityFactory<"beta"> = similarity("l2", {
  formula: "−β‖q−k‖²",
  source: "Kim, Papamakarios & Mnih 2021, The Lipschitz Constant of Self-Attention, eq. 9",
  inner: "dot",
  params: { beta: positive((width) => 1 / (2 * Math.sqrt(width))) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, q2, k2, beta }) => beta.mul(s.mul(2).sub(k2)).sub(beta.mul(q2)),
});
