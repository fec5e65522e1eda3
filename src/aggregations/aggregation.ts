/** @file What an aggregation is: how the values of one row are joined. */
import { type Parameter } from "../base/parameter.ts";
import { type Part } from "../base/part.ts";

/** Joins the values of the kept keys of one row. `Name` lets types say what it fits with. */
export interface Aggregation<Name extends string = string> extends Part {
  readonly kind: "aggregation";
  readonly name: Name;
  readonly parameters: readonly Parameter[];
  /** What it joins values by: the weights, weights that are never negative, or the scores themselves. */
  readonly needs: "weights" | "non-negative weights" | "scores";
  /** The joined value, of length E. `weights` are scores where the aggregation needs those. */
  readonly forward: (
    weights: Float64Array,
    values: readonly Float64Array[],
    context: AggregationContext,
  ) => Float64Array;
  /** Gradients by the weights and the parameter; those by the values are added to `valueGradients`. */
  readonly backward: (
    weights: Float64Array,
    values: readonly Float64Array[],
    outGradient: Float64Array,
    valueGradients: readonly Float64Array[],
    context: AggregationContext,
  ) => { readonly weights: Float64Array; readonly parameter: number };
}

/** What a row's aggregation depends on besides weights and values. */
export interface AggregationContext {
  /** E, the width of values. */
  readonly width: number;
  /** The aggregation's parameter for this head, when it has one. */
  readonly parameter: number | undefined;
}
