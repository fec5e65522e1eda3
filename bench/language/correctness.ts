/**
 * @file Correctness before speed: ours against the graph in f64 with exact activations, onnxruntime against the graph in f64 as it is. Both
 * are the same code but for that one switch, so that what lies between them is what the graph's rounding does.
 */
import { quantile } from "../rounds.ts";
import { GraphReference, type GraphWeights, type LayerPast } from "./graph-reference.ts";

/** Logits [tokens, V], and the keys and values after them, layer by layer, each [G, tokens, D], where they are known. */
export interface TextResults {
  readonly logits: Float32Array;
  readonly cache?: Float32Array;
}

/**
 * The largest error over the largest logit. float32 keeps 2⁻²⁴ of what is summed, in eight layers of sums of up to 1,408 products; 8 bits
 * keep 2⁻⁸ and move logits by some hundredths of the largest.
 */
export const logitTolerance = 1e-4;

/** The error of logits of exact activations, token by token. */
export function errorsOfExact(
  weights: GraphWeights,
  tokens: readonly number[],
  { logits }: TextResults,
): number[] {
  const reference = new GraphReference(weights, "exact");
  return tokens.map((token, place) => errorOf(reference.step(token), rowOf(logits, place, tokens.length)));
}

/**
 * The error of logits of activations of 8 bits, token by token, each from the past that it had. A number that lies within float32's roundings
 * of the middle between two steps may be rounded to either; a token with such a number is off, whoever rounded it.
 */
export function errorsOfGraph(
  weights: GraphWeights,
  tokens: readonly number[],
  { logits, cache }: TextResults,
): number[] {
  const reference = new GraphReference(weights, "uint8");
  return tokens.map((token, place) => {
    reference.goOnFrom(pastOf(weights, cache!, { count: place, of: tokens.length }));
    return errorOf(reference.step(token), rowOf(logits, place, tokens.length));
  });
}

/** One number for a text: half of its tokens are as near or nearer. */
export const typicalError = (errors: readonly number[]): number => quantile(errors, 0.5);

/** The first `count` of `of` places of a cache. */
export function pastOf(
  { sizes }: GraphWeights,
  cache: Float32Array,
  { count, of }: { readonly count: number; readonly of: number },
): readonly LayerPast[] {
  const { num_hidden_layers: layers, num_key_value_heads: heads, head_dim: width } = sizes;
  const rowAt = (part: number, place: number): Float64Array => {
    const row = new Float64Array(heads * width);
    for (let head = 0; head < heads; head++) {
      const from = ((part * heads + head) * of + place) * width;
      row.set(cache.subarray(from, from + width), head * width);
    }
    return row;
  };
  const rows = (part: number): Float64Array[] =>
    Array.from({ length: count }, (_, place) => rowAt(part, place));
  return Array.from({ length: layers }, (_, layer) => ({
    keys: rows(2 * layer),
    values: rows(2 * layer + 1),
  }));
}

/** Row `place` of `count` rows. */
export function rowOf(data: Float32Array, place: number, count: number): Float32Array {
  const width = data.length / count;
  return data.subarray(place * width, (place + 1) * width);
}

/** The largest difference over the largest number expected. */
export function errorOf(expected: ArrayLike<number>, found: ArrayLike<number>): number {
  let [error, largest] = [0, 0];
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(expected[index] - found[index]);
    // NaN is no error that a comparison finds.
    error = Number.isNaN(difference) ? Infinity : Math.max(error, difference);
    largest = Math.max(largest, Math.abs(expected[index]));
  }
  return error / largest;
}

/** −log₂ p of a text's tokens from the second on, on average. */
export function bitsPerToken(tokens: readonly number[], logits: Float32Array): number {
  let bits = 0;
  for (let place = 0; place + 1 < tokens.length; place++) {
    const row = rowOf(logits, place, tokens.length);
    const highest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const total = row.reduce((sum, value) => sum + Math.exp(value - highest), 0);
    bits += (highest + Math.log(total) - row[tokens[place + 1]]) / Math.LN2;
  }
  return bits / (tokens.length - 1);
}

/** The share of tokens after which both find the same one likeliest. */
export function agreement(count: number, one: Float32Array, other: Float32Array): number {
  const likeliest = (data: Float32Array, place: number): number => {
    const row = rowOf(data, place, count);
    return row.indexOf(row.reduce((most, value) => Math.max(most, value), -Infinity));
  };
  const places = Array.from({ length: count }, (_, place) => place);
  return places.filter((place) => likeliest(one, place) === likeliest(other, place)).length / count;
}
