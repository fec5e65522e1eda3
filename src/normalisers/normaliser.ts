/** @file What a normaliser is: how the kept scores of one row become weights. */
import { type Parameter } from "../base/parameter.ts";
import { type Part } from "../base/part.ts";

/** The weights of a row, and its log-sum-exp where the normaliser has one. */
export interface RowWeights {
  readonly weights: Float64Array;
  readonly logSumExp: number | undefined;
}

/** What a row's normalisation depends on besides its scores. */
export interface RowContext {
  /** S, the number of keys of the call. */
  readonly keys: number;
  /** The normaliser's parameter for this head, when it has one. */
  readonly parameter: number | undefined;
}

/** Scores to weights. `Name` lets types say which normaliser an aggregation needs. */
export interface Normaliser<Name extends string = string> extends Part {
  readonly kind: "normaliser";
  readonly name: Name;
  readonly parameters: readonly Parameter[];
  /** Whether weights are never negative (a centroid needs that). */
  readonly nonNegative: boolean;
  /** Whether adding one number to all scores of a row leaves the weights as they are. */
  readonly shiftInvariant: boolean;
  /** Weights of a row; an empty row has empty weights. */
  readonly forward: (scores: Float64Array, context: RowContext) => RowWeights;
  /** Gradients by the scores and by the parameter (0 without one), given those by the weights. */
  readonly backward: (
    scores: Float64Array,
    weightGradients: Float64Array,
    context: RowContext,
  ) => { readonly scores: Float64Array; readonly parameter: number };
}
