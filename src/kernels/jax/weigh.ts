/**
 * @file Normalisers over rows of scores. A softmax is divided only after values are joined, which is a division per
 * coordinate of the output in place of one per pair.
 */
import { numpy as np } from "@jax-js/jax";
import { type Composition } from "../../attention/index.ts";
import { UnsupportedError } from "../../base/errors.ts";
import { sumOf } from "./array-tools.ts";
import { log, logistic } from "./stable-functions.ts";

/** Statistics of a softmax's rows, [B, H, Q, 1]. */
export interface RowStatistics {
  /** What is subtracted from the scores. */
  readonly maximum: np.Array;
  /** Σ e^(s − maximum) with the sink's term, at least 1. */
  readonly divisor: np.Array;
}

/** How weights and the divisor change. */
export interface WeighedTangent {
  readonly weights: np.Array | undefined;
  readonly divisor: np.Array | undefined;
}

/** The weights of all rows. */
export interface Weighed {
  /** [B, H, Q, S]; 0 where a pair does not take part (−∞ where the aggregation needs scores). */
  readonly weights: np.Array;
  /** Under softmax: weights are to be divided by `divisor`. */
  readonly statistics: RowStatistics | undefined;
  /** @param scores - changes of the scores, 0 where a pair does not take part */
  readonly tangent: (scores: np.Array | undefined, parameter: np.Array | undefined) => WeighedTangent;
}

/** Which pairs take part: `value` elsewhere. */
export type Elsewhere = (values: np.Array, value: number) => np.Array;

/**
 * Weighs scores.
 *
 * @param scores - [B, H, Q, S]
 * @param elsewhere - puts a number where a pair does not take part
 * @param parameter - the normaliser's own, [1, H, 1, 1]
 * @param known - statistics of an earlier call with the same inputs
 */
export function weigh(
  { normaliser, aggregation }: Composition,
  scores: np.Array,
  elsewhere: Elsewhere,
  parameter: np.Array | undefined,
  known: RowStatistics | undefined,
): Weighed {
  switch (normaliser.name) {
    case "softmax":
      return softmax(elsewhere(scores, -Infinity), parameter, known);
    case "sigmoid":
      return sigmoid(scores, elsewhere, sigmoidBias(normaliser.options["bias"], scores.shape[3], parameter));
    case "none":
      return normaliser.options["map"] === "exp"
        ? exponential(elsewhere(scores, -Infinity))
        : identity(elsewhere(scores, aggregation.needs === "scores" ? -Infinity : 0));
    default:
      throw new UnsupportedError(
        "jax-normaliser",
        `Cannot normalise by '${normaliser.name}' on jax-js as it knows softmax, sigmoid and none: '${normaliser.name}'. ` +
          "Use the reference backend",
      );
  }
}

/** Below every score, so that rows without keys have a finite maximum. */
const lowest = -3.4028234663852886e38;

function softmax(scores: np.Array, sink: np.Array | undefined, known: RowStatistics | undefined): Weighed {
  const largest = known?.maximum ?? np.maximum(scores.ref.max(-1, { keepdims: true }), lowest);
  const maximum = known !== undefined || sink === undefined ? largest : np.maximum(largest.ref, sink.ref);
  const weights = np.exp(scores.ref.sub(maximum.ref));
  const sinkTerm = sink === undefined ? undefined : np.exp(sink.ref.sub(maximum.ref));
  // The largest term is e^0, so a row with keys has at least mass 1.
  const mass = (): np.Array => np.maximum(sumOf([weights.ref.sum(-1, { keepdims: true }), sinkTerm?.ref])!, 1);
  return {
    weights,
    statistics: { maximum, divisor: known?.divisor ?? mass() },
    tangent(changes, sinkChange) {
      const dWeights = changes?.ref.mul(weights.ref);
      const dSink = sinkChange === undefined ? undefined : sinkTerm!.ref.mul(sinkChange.ref);
      return { weights: dWeights, divisor: sumOf([dWeights?.ref.sum(-1, { keepdims: true }), dSink]) };
    },
  };
}

/** log Σ e^s of each row with the sink's term, [B, H, Q, 1]. */
export function logSumExp({ maximum, divisor }: RowStatistics): np.Array {
  return log(divisor.ref).add(maximum.ref);
}

function sigmoidBias(option: unknown, keys: number, parameter: np.Array | undefined): np.Array | number {
  if (parameter === undefined) return -Math.log(keys);
  return typeof option === "number" ? parameter.ref : parameter.ref.sub(Math.log(keys));
}

function sigmoid(scores: np.Array, elsewhere: Elsewhere, bias: np.Array | number): Weighed {
  const weights = elsewhere(logistic(scores.ref.add(bias)), 0);
  const slope = (): np.Array => weights.ref.mul(weights.ref.neg().add(1));
  return {
    weights,
    statistics: undefined,
    tangent(changes, biasChange) {
      const change = sumOf([changes?.ref, biasChange?.ref]);
      return { weights: change?.mul(slope()), divisor: undefined };
    },
  };
}

function exponential(scores: np.Array): Weighed {
  const weights = np.exp(scores.ref);
  const tangent: Weighed["tangent"] = (changes) => ({ weights: changes?.ref.mul(weights.ref), divisor: undefined });
  return { weights, statistics: undefined, tangent };
}

function identity(weights: np.Array): Weighed {
  return { weights, statistics: undefined, tangent: (changes) => ({ weights: changes?.ref, divisor: undefined }) };
}
