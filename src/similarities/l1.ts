/** @file Manhattan distance: −β‖q−k‖₁. */
import { positive } from "../base/parameter.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * Negative Manhattan distance, s_ij = −β Σ_d |q_id − k_jd|: the logarithm of the Laplace kernel. Not a dot product after
 * any lift.
 *
 * @param options - `beta`: a number > 0 (default 1/√D), `learned` or `auto`
 * @example
 * ```ts
 * import { attention, causal, l1 } from "qklab";
 * const attend = attention({ similarity: l1(), pattern: causal() });
 * ```
 */
export const l1: SimilarityFactory<"beta"> = similarity("l1", {
  formula: "−β‖q−k‖₁",
  source: "Kim et al. 2019, Attentive Neural Processes, Laplace attention",
  inner: "l1",
  params: { beta: positive((width) => 1 / Math.sqrt(width)) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, beta }) => beta.mul(s).neg(),
});
