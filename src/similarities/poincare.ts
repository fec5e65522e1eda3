/** @file Poincaré ball: geodesic distance between the exponentials of tangent vectors at the origin. */
import { positive } from "../base/parameter.ts";
import { geodesicOfChord, tangentSquaredDistance } from "./distances.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * Negative geodesic distance in the Poincaré ball of curvature −c, s_ij = −β·d_c(exp₀ q_i, exp₀ k_j), with q and k tangent
 * vectors at the origin and d_c(0, exp₀ v) = 2‖v‖. Computed on the hyperboloid by the pseudo-polar lift, so no point is
 * ever clipped to the ball; radii 2√c‖v‖ above 43 count as 43.
 *
 * @param options - `beta` (default 1, or `learned`, `auto`), `c` (default 1, or `learned`): numbers > 0
 * @example
 * ```ts
 * import { attention, causal, poincare } from "qklab";
 * const attend = attention({ similarity: poincare({ c: 0.5 }), pattern: causal() });
 * ```
 */
export const poincare: SimilarityFactory<"beta" | "c"> = similarity("poincare", {
  formula: "−β·d_c(exp₀ q, exp₀ k)",
  source:
    "Nickel & Kiela 2017, Poincaré Embeddings, eq. 1; Ganea et al. 2018, Hyperbolic Neural Networks, eq. 12 (exp₀)",
  space: "poincare",
  inner: "dot",
  params: { beta: positive(1), c: positive(1) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, q2, k2, guard, beta, c }) =>
    beta.mul(geodesicOfChord(tangentSquaredDistance(s, q2, k2, c, guard), c, guard)).neg(),
});
