/** @file Cosine: β·q̂·k̂. */
import { positive } from "../base/parameter.ts";
import { max, sqrt } from "../score/index.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

const smallestNorm = 1e-12;
const largestBeta = 100;

/**
 * Cosine similarity, s_ij = β·q̂_i·k̂_j with x̂ = x/max(‖x‖, 1e-12). Scores stay in [−β, β] whatever the norms.
 *
 * @param options - `beta`: a number > 0 (default 10), `learned` (as e^ℓ with ℓ ≤ ln 100) or `auto`
 * @example
 * ```ts
 * import { attention, causal, cosine } from "qklab";
 * const attend = attention({ similarity: cosine({ beta: "learned" }), pattern: causal() });
 * ```
 */
export const cosine: SimilarityFactory<"beta"> = similarity("cosine", {
  formula: "β·q̂·k̂, x̂ = x/max(‖x‖, 1e-12)",
  source: "Liu et al. 2022, Swin Transformer V2, eq. 2",
  space: "sphere",
  inner: "dot",
  params: { beta: positive(10, largestBeta) },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, q2, k2, beta }) => {
    const norm = (squared: typeof q2): typeof q2 => sqrt(max(squared, smallestNorm ** 2));
    return beta.mul(s.div(norm(q2)).div(norm(k2)));
  },
});
