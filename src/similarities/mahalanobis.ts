/** @file Diagonal Mahalanobis distance: −β Σ_d m_d (q_d−k_d)², the metric m learned per head. */
import { numberOption, type OptionRule } from "../base/options.ts";
import { headParameter, positive } from "../base/parameter.ts";
import { definePart } from "../base/part.ts";
import { variable } from "../score/index.ts";
import { parameterOption, type SimilarityFactory, type Similarity, wholeTerm } from "./similarity.ts";

const beta = positive((width) => 1 / (2 * Math.sqrt(width)));
const rules: Readonly<Record<"beta" | "m", OptionRule>> = {
  beta: parameterOption(beta, true),
  m: numberOption("positive", "learned"),
};

/**
 * Negative squared distance in a diagonal metric, s_ij = −β Σ_d m_d (q_id − k_jd)²: the coordinates are multiplied by √m,
 * then compared as by `l2`.
 *
 * @param options - `beta` (default 1/(2√D), or `learned`, `auto`), `m` (default `learned` from 1, per head and coordinate;
 *   a number fixes all of it)
 * @example
 * ```ts
 * import { attention, full, mahalanobis } from "qklab";
 * const attend = attention({ similarity: mahalanobis(), pattern: full() });
 * ```
 */
export const mahalanobis: SimilarityFactory<"beta" | "m"> = definePart<
  Similarity,
  Partial<Record<"beta" | "m", number | "learned" | "auto">>
>(
  {
    kind: "similarity",
    selector: "mahalanobis",
    formula: "−β Σ_d m_d (q_d−k_d)²",
    source: "Nielsen et al. 2024, Elliptical Attention, eq. 10",
    rules,
  },
  (options) => {
    const [s, q2, k2, scale] = ["s", "q2", "k2", "beta"].map(variable);
    const fixed = typeof options.m === "number" ? options.m : undefined;
    return {
      space: "euclidean",
      terms: wholeTerm("dot"),
      score: scale.mul(s.mul(2).sub(k2)).sub(scale.mul(q2)),
      parameters: [
        headParameter("beta", beta, options.beta),
        {
          name: "m",
          mode: fixed === undefined ? "learned" : "fixed",
          domain: "positive",
          shape: ({ heads, width }) => [heads, width],
          initial: ({ heads, width }) => new Float64Array(heads * width).fill(fixed ?? 1),
        },
      ],
      metric: "m",
      temperature: { parameters: ["beta"], power: 1 },
      invariance: "none",
      bilinear: false,
    };
  },
);
