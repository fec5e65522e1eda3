/** @file Gaussian kernel: −‖q−k‖²/(2σ²). */
import { positive } from "../base/parameter.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * Logarithm of the Gaussian (radial basis function) kernel, s_ij = −‖q_i − k_j‖²/(2σ²).
 *
 * @param options - `sigma`: a number > 0 (default D^¼), `learned` or `auto`
 * @example
 * ```ts
 * import { attention, full, rbf } from "qklab";
 * const attend = attention({ similarity: rbf({ sigma: 1 }), pattern: full() });
 * ```
 */
export const rbf: SimilarityFactory<"sigma"> = similarity("rbf", {
  formula: "−‖q−k‖²/(2σ²)",
  source:
    "Broomhead & Lowe 1988, Radial basis functions, multi-variable functional interpolation and adaptive networks",
  inner: "dot",
  params: { sigma: positive((width) => width ** 0.25) },
  temperature: { parameter: "sigma", power: -2 },
  score: ({ s, q2, k2, sigma }) => {
    const twoVariances = sigma.square().mul(2);
    return s.mul(2).sub(k2).div(twoVariances).sub(q2.div(twoVariances));
  },
});
