/** @file What a position is: how place enters, by rotating queries and keys, by a bias on scores, or before attention. */
import { type Parameter } from "../base/parameter.ts";
import { type Part } from "../base/part.ts";

/** Place does not enter the attention. */
export interface NoPosition extends Part {
  readonly kind: "position";
  readonly place: "none";
}

/** A vector per place, added to the token embeddings by the model. */
export interface EmbeddingPosition extends Part {
  readonly kind: "position";
  readonly place: "embedding";
  /** The [count, width] table of place vectors, or `undefined` when the model learns it. */
  readonly table: ((count: number, width: number) => Float64Array) | undefined;
}

/** Pairs of coordinates of queries and keys, turned by an angle proportional to their place. */
export interface RotaryPosition extends Part {
  readonly kind: "position";
  readonly place: "rotation";
  readonly layout: "half" | "interleaved";
  /** The pairs of coordinates that turn together, [first, second]; throws ShapeError when the width does not fit. */
  readonly pairs: (width: number) => readonly (readonly [number, number])[];
  /** Angle per place of each pair, in radians. */
  readonly frequencies: (width: number) => Float64Array;
  /** Factor on both queries and keys. */
  readonly amplitude: number;
  /** xPos: ζ per pair; queries are scaled by ζ^p and keys by ζ^−p with p = (place − length/2)/512. */
  readonly decay: ((width: number) => Float64Array) | undefined;
}

/** A number added to the score that depends on head and Δ = (i + offset) − j only. */
export interface BiasPosition extends Part {
  readonly kind: "position";
  readonly place: "bias";
  readonly parameters: readonly Parameter[];
  /** The [heads, deltas] table of biases. */
  readonly table: (heads: number, deltas: Int32Array, parameters: ParameterValues) => Float64Array;
  /** Gradients of the parameters, given those of the table. */
  readonly tableGradient: (
    heads: number,
    deltas: Int32Array,
    parameters: ParameterValues,
    gradient: Float64Array,
  ) => ParameterValues;
}

/** Flat values of parameters by name. */
export type ParameterValues = Readonly<Record<string, Float64Array>>;

/** How place enters. */
export type Position = NoPosition | EmbeddingPosition | RotaryPosition | BiasPosition;
