/** @file Hyperboloid: squared Minkowski distance and geodesic distance, coordinates being the space part. */
import { positive } from "../base/parameter.ts";
import { geodesicOfChord, minkowskiSquaredDistance } from "./distances.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * Negative squared Minkowski distance on the hyperboloid of curvature −c, s_ij = −β‖x−y‖²_L = β(2/c + 2⟨x,y⟩_L), where
 * the D coordinates are the space part and x₀ = √(1/c + ‖q‖²).
 *
 * @param options - `beta` (default 1/√D, or `learned`, `auto`), `c` (default 1, or `learned`): numbers > 0
 * @example
 * ```ts
 * import { attention, causal, lorentz } from "qklab";
 * const attend = attention({ similarity: lorentz({ c: "learned" }), pattern: causal() });
 * ```
 */
export const lorentz: SimilarityFactory<"beta" | "c"> = similarity("lorentz", {
  formula: "−β‖x−y‖²_L = β(2/c + 2⟨x,y⟩_L)",
  source: "Chen et al. 2022, Fully Hyperbolic Neural Networks, eq. 7",
  space: "lorentz",
  inner: "dot",
  params: { beta: positive((width) => 1 / Math.sqrt(width)), c: positive(1) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, q2, k2, beta, c }) => beta.mul(minkowskiSquaredDistance(s, q2, k2, c)).neg(),
});

/**
 * Negative geodesic distance on the hyperboloid, s_ij = −β·(2/√c)·asinh(√c/2·‖x−y‖_L).
 *
 * @param options - `beta` (default 1, or `learned`, `auto`), `c` (default 1, or `learned`): numbers > 0
 * @example
 * ```ts
 * import { attention, causal, lorentzDistance } from "qklab";
 * const attend = attention({ similarity: lorentzDistance(), pattern: causal() });
 * ```
 */
export const lorentzDistance: SimilarityFactory<"beta" | "c"> = similarity("lorentz-distance", {
  formula: "−β·d, d = (2/√c)·asinh(√c/2·‖x−y‖_L)",
  source: "Gulcehre et al. 2018, Hyperbolic Attention Networks, eq. 2; asinh form in place of arcosh",
  space: "lorentz",
  inner: "dot",
  params: { beta: positive(1), c: positive(1) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, q2, k2, guard, beta, c }) =>
    beta.mul(geodesicOfChord(minkowskiSquaredDistance(s, q2, k2, c), c, guard)).neg(),
});
