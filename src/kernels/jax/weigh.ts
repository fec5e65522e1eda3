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
  /** @param scores - changes of the scores */
  readonly tangent: (scores: np.Array | undefined, parameter: np.Array | undefined) => WeighedTangent;
}

/** What a normaliser works on. */
export interface WeighInputs {
  /** [B, H, Q, S] */
  readonly scores: () => np.Array;
  /** Puts a number where a pair does not take part. */
  readonly elsewhere: (values: np.Array, value: number) => np.Array;
  /** The normaliser's own, [1, H, 1, 1]. */
  readonly parameter: np.Array | undefined;
  /** Statistics and weights of an earlier call with the same inputs. */
  readonly known?: { readonly statistics?: RowStatistics; readonly weights?: np.Array };
}

/** Weighs scores. */
export function weigh({ normaliser, aggregation }: Composition, inputs: WeighInputs): Weighed {
  switch (normaliser.name) {
    case "softmax":
      return softmax(inputs);
    case "sigmoid":
      return sigmoid(inputs, normaliser.options["bias"]);
    case "none":
      return normaliser.options["map"] === "exp"
        ? exponential(inputs)
        : identity(inputs, aggregation.needs === "scores" ? -Infinity : 0);
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

function softmax({ scores, elsewhere, parameter: sink, known }: WeighInputs): Weighed {
  const allowed = (): np.Array => elsewhere(scores(), -Infinity);
  const largestOf = (): np.Array => {
    const ofRow = np.maximum(allowed().max(-1, { keepdims: true }), lowest);
    return sink === undefined ? ofRow : np.maximum(ofRow, sink.ref);
  };
  const maximum = known?.statistics?.maximum ?? largestOf();
  const weights = known?.weights ?? np.exp(allowed().sub(maximum.ref));
  const sinkTerm = sink === undefined ? undefined : np.exp(sink.ref.sub(maximum.ref));
  // The largest term is e^0, so a row with keys has at least mass 1.
  const mass = (): np.Array =>
    np.maximum(sumOf([weights.ref.sum(-1, { keepdims: true }), sinkTerm?.ref])!, 1);
  return {
    weights,
    statistics: { maximum, divisor: known?.statistics?.divisor ?? mass() },
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

/** w = σ(s + bias), dw = w(1 − w)(ds + dbias). */
function sigmoid({ scores, elsewhere, parameter, known }: WeighInputs, option: unknown): Weighed {
  const biased = (): np.Array => {
    const values = scores();
    if (parameter === undefined) return values.sub(Math.log(values.shape[3]));
    const sum = values.add(parameter.ref);
    return typeof option === "number" ? sum : sum.sub(Math.log(values.shape[3]));
  };
  const weights = known?.weights ?? elsewhere(logistic(biased()), 0);
  return {
    weights,
    statistics: undefined,
    tangent(changes, biasChange) {
      const change = sumOf([changes?.ref, biasChange?.ref]);
      return { weights: change?.mul(weights.ref.mul(weights.ref.neg().add(1))), divisor: undefined };
    },
  };
}

function exponential({ scores, elsewhere, known }: WeighInputs): Weighed {
  const weights = known?.weights ?? np.exp(elsewhere(scores(), -Infinity));
  const tangent: Weighed["tangent"] = (changes) => ({
    weights: changes?.ref.mul(weights.ref),
    divisor: undefined,
  });
  return { weights, statistics: undefined, tangent };
}

function identity({ scores, elsewhere }: WeighInputs, outside: number): Weighed {
  return {
    weights: elsewhere(scores(), outside),
    statistics: undefined,
    tangent: (changes) => ({
      weights: changes === undefined ? undefined : elsewhere(changes, 0),
      divisor: undefined,
    }),
  };
}
