/** @file Sigmoid: every pair on its own, no competition within a row. */
import { numberOption } from "../base/options.ts";
import { headParameter, real } from "../base/parameter.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Normaliser, type RowContext } from "./normaliser.ts";

/** Options of {@link sigmoid}. */
export interface SigmoidOptions {
  readonly bias?: number | "learned";
}

/**
 * w_j = σ(s_j + bias). Without a number the bias is −ln S, so that a row of zero scores has about unit mass; `learned`
 * adds a learned number (from 0) to it.
 *
 * @param options - `bias`: a number, or `learned`
 * @example
 * ```ts
 * import { attention, dot, full, sigmoid } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: full(), normaliser: sigmoid() });
 * ```
 */
export const sigmoid: PartFactory<Normaliser<"sigmoid">, SigmoidOptions> = definePart<
  Normaliser<"sigmoid">,
  SigmoidOptions
>(
  {
    kind: "normaliser",
    selector: "sigmoid",
    formula: "σ(s_j + bias), bias = −ln S",
    source: "Ramapuram et al. 2024, Theory, Analysis, and Best Practices for Sigmoid Self-Attention, eq. 3",
    rules: { bias: numberOption("real", "learned") },
  },
  ({ bias }) => {
    const biasOf = ({ keys, parameter }: RowContext): number =>
      typeof bias === "number" ? (parameter ?? bias) : (parameter ?? 0) - Math.log(keys);
    const forward = (scores: Float64Array, context: RowContext): Float64Array =>
      scores.map((score) => 1 / (1 + Math.exp(-(score + biasOf(context)))));
    return {
      parameters: bias === undefined ? [] : [headParameter("sigmoid.bias", real(0), bias)],
      nonNegative: true,
      shiftInvariant: false,
      forward: (scores, context) => ({ weights: forward(scores, context), logSumExp: undefined }),
      backward(scores, weightGradients, context) {
        const byScore = forward(scores, context).map((w, j) => w * (1 - w) * weightGradients[j]);
        return { scores: byScore, parameter: byScore.reduce((a, b) => a + b, 0) };
      },
    };
  },
);
