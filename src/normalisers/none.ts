/** @file No normalisation: raw scores, or raw kernels e^s. */
import { wordOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Normaliser } from "./normaliser.ts";

/** Options of {@link none}. */
export interface NoneOptions {
  readonly map?: "identity" | "exp";
}

/**
 * w_j = s_j, or e^{s_j} with `map: "exp"`. With `dot` and the identity this is linear attention without a feature map:
 * o_i = scale · q_i·(Σ_j k_jᵀ v_j), whose state is a D × E matrix.
 *
 * @param options - `map`: `identity` (default) or `exp`
 * @example
 * ```ts
 * import { attention, causal, dot, none } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: causal(), normaliser: none() });
 * ```
 */
export const none: PartFactory<Normaliser<"none">, NoneOptions> = definePart<Normaliser<"none">, NoneOptions>(
  {
    kind: "normaliser",
    selector: "none",
    formula: "s_j, or e^{s_j}",
    source: "Schlag et al. 2021, Linear Transformers Are Secretly Fast Weight Programmers, eq. 14",
    rules: { map: wordOption("identity", "exp") },
  },
  ({ map }) => ({
    parameters: [],
    nonNegative: map === "exp",
    shiftInvariant: false,
    forward: (scores) => ({ weights: map === "exp" ? scores.map(Math.exp) : scores, logSumExp: undefined }),
    backward: (scores, weightGradients) => ({
      scores:
        map === "exp" ? scores.map((score, j) => Math.exp(score) * weightGradients[j]) : weightGradients,
      parameter: 0,
    }),
  }),
);
