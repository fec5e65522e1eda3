/** @file Heavy-tailed Euclidean kernel: −β·log(1 + ‖q−k‖²/τ), the control that every hyperbolic claim must beat. */
import { positive } from "../base/parameter.ts";
import { log1p } from "../score/index.ts";
import { squaredDistance } from "./distances.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * Logarithm of the Cauchy (Student t) kernel, s_ij = −β·log(1 + ‖q_i − k_j‖²/τ): weights fall as a power of the distance,
 * as they do in hyperbolic space, but the space is flat.
 *
 * @param options - `beta` (default 1, or `learned`, `auto`), `tau` (default D, or `learned`): numbers > 0
 * @example
 * ```ts
 * import { attention, cauchy, causal } from "qklab";
 * const attend = attention({ similarity: cauchy({ tau: "learned" }), pattern: causal() });
 * ```
 */
export const cauchy: SimilarityFactory<"beta" | "tau"> = similarity("cauchy", {
  formula: "−β·log(1 + ‖q−k‖²/τ)",
  source: "van der Maaten & Hinton 2008, Visualizing Data using t-SNE, eq. 4 (the kernel)",
  inner: "dot",
  params: { beta: positive(1), tau: positive((width) => width) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, q2, k2, beta, tau }) => beta.mul(log1p(squaredDistance(s, q2, k2).div(tau))).neg(),
});
