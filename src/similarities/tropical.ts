/** @file Tropical (Hilbert projective) distance: −β(max_d(q−k) − min_d(q−k)). */
import { positive } from "../base/parameter.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * Negative Hilbert projective distance of max-plus algebra, s_ij = −β(max_d(q−k) − min_d(q−k)). Adding a constant to all
 * coordinates of q or k changes nothing.
 *
 * @param options - `beta`: a number > 0 (default 1/√D), `learned` or `auto`
 * @example
 * ```ts
 * import { attention, full, maxplus, none, tropical } from "qklab";
 * const attend = attention({ similarity: tropical(), pattern: full(), normaliser: none(), aggregation: maxplus() });
 * ```
 */
export const tropical: SimilarityFactory<"beta"> = similarity("tropical", {
  formula: "−β(max_d(q−k) − min_d(q−k))",
  source: "Hashemi et al. 2025, Tropical Attention",
  inner: "range",
  params: { beta: positive((width) => 1 / Math.sqrt(width)) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, beta }) => beta.mul(s).neg(),
});
