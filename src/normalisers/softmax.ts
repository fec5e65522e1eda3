/** @file Softmax, with an optional sink: a learned score that takes weight and gives no value. */
import { numberOption } from "../base/options.ts";
import { headParameter, real } from "../base/parameter.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Normaliser, type RowContext } from "./normaliser.ts";

/** Options of {@link softmax}. */
export interface SoftmaxOptions {
  readonly sink?: number | "learned";
}

/**
 * w_j = e^{s_j} / (Σ_m e^{s_m} + e^{sink}); without `sink` the last term is absent.
 *
 * @param options - `sink`: a score per head, or `learned` (from 0)
 * @example
 * ```ts
 * import { attention, causal, dot, softmax } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: causal(), normaliser: softmax({ sink: "learned" }) });
 * ```
 */
export const softmax: PartFactory<Normaliser<"softmax">, SoftmaxOptions> = definePart<
  Normaliser<"softmax">,
  SoftmaxOptions
>(
  {
    kind: "normaliser",
    selector: "softmax",
    formula: "e^{s_j} / (Σ_m e^{s_m} [+ e^{sink}])",
    source:
      "Vaswani et al. 2017; sink: Xiao et al. 2024, Efficient Streaming Language Models with Attention Sinks",
    rules: { sink: numberOption("real", "learned") },
  },
  ({ sink }) => ({
    parameters: sink === undefined ? [] : [headParameter("softmax.sink", real(0), sink)],
    nonNegative: true,
    shiftInvariant: sink === undefined,
    forward,
    backward(scores, weightGradients, context) {
      const { weights } = forward(scores, context);
      const mean = weights.reduce((sum, weight, j) => sum + weight * weightGradients[j], 0);
      const sinkWeight = 1 - weights.reduce((sum, weight) => sum + weight, 0);
      return {
        scores: weights.map((weight, j) => weight * (weightGradients[j] - mean)),
        parameter: context.parameter === undefined || scores.length === 0 ? 0 : -sinkWeight * mean,
      };
    },
  }),
);

/** An empty row has no weights and log-sum-exp −∞, whether or not there is a sink. */
function forward(
  scores: Float64Array,
  { parameter }: RowContext,
): { weights: Float64Array; logSumExp: number } {
  if (scores.length === 0) return { weights: scores, logSumExp: -Infinity };
  const largest = scores.reduce((a, b) => Math.max(a, b), parameter ?? -Infinity);
  const sinkMass = parameter === undefined ? 0 : Math.exp(parameter - largest);
  const mass = scores.reduce((sum, score) => sum + Math.exp(score - largest), sinkMass);
  // Not e^{s − lse}: of scores far from zero the log-sum-exp has lost the digits of ln(mass).
  return {
    weights: scores.map((score) => Math.exp(score - largest) / mass),
    logSumExp: largest + Math.log(mass),
  };
}
