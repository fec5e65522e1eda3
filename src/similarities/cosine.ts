/** @file Cosine: β·q̂·k̂, also written with a temperature τ = 1/β. */
import { DomainError } from "../base/errors.ts";
import { positive } from "../base/parameter.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { max, sqrt } from "../score/index.ts";
import { parameterOption, similarity, type Similarity } from "./similarity.ts";

const smallestNorm = 1e-12;
const largestBeta = 100;
const beta = positive(10, largestBeta);

/** Options of {@link cosine}: one of the two, `beta` = 1/`tau`. */
export interface CosineOptions {
  readonly beta?: number | "learned" | "auto";
  readonly tau?: number | "learned" | "auto";
}

const byBeta = similarity("cosine", {
  formula: "β·q̂·k̂ = q̂·k̂/τ, x̂ = x/max(‖x‖, 1e-12)",
  source: "Liu et al. 2022, Swin Transformer V2, eq. 2",
  space: "sphere",
  inner: "dot",
  params: { beta },
  temperature: { parameter: "beta", power: 1 },
  score: ({ s, q2, k2, beta }) => {
    const norm = (squared: typeof q2): typeof q2 => sqrt(max(squared, smallestNorm ** 2));
    return beta.mul(s.div(norm(q2)).div(norm(k2)));
  },
});

/**
 * Cosine similarity, s_ij = β·q̂_i·k̂_j with x̂ = x/max(‖x‖, 1e-12). Scores stay in [−β, β] whatever the norms.
 *
 * @param options - `beta`: a number > 0 (default 10), `learned` (as e^ℓ with ℓ ≤ ln 100) or `auto`; or the same as
 *   `tau` = 1/β, as Swin V2 writes it. The parameter is β either way.
 * @throws DomainError `cosine-temperature` when both are given
 * @example
 * ```ts
 * import { attention, causal, cosine } from "qklab";
 * const attend = attention({ similarity: cosine({ beta: "learned" }), pattern: causal() });
 * ```
 */
export const cosine: PartFactory<Similarity, CosineOptions> = definePart<Similarity, CosineOptions>(
  { ...byBeta.definition, rules: { ...byBeta.definition.rules, tau: parameterOption(beta, true) } },
  ({ beta, tau }) => {
    if (beta !== undefined && tau !== undefined) {
      throw new DomainError(
        "cosine-temperature",
        `Cannot make 'cosine' as beta is 1/tau and only one may be given: beta=${beta}, tau=${tau}. Leave one out`,
      );
    }
    const option = typeof tau === "number" ? 1 / tau : (tau ?? beta);
    const { options: _, ...made } = byBeta(option === undefined ? {} : { beta: option });
    return made;
  },
);
