/** @file What the blocks of RWKV share, in f64: token shift, products of rows, heads, the norm of heads, and their states. */
import { ShapeError } from "../base/errors.ts";
import { sizeOf, type Tensor, type Tensor64, zeros64 } from "../base/tensor.ts";

/** Weights by name. */
export type Weights<Name extends string> = Readonly<Record<Name, Tensor | Tensor64>>;

/** What a time mix remembers of the tokens before: constant memory, however many they were. */
export interface TimeMixState {
  /** The last token's input, [B, C]. */
  readonly previous: Tensor64;
  /** M, [B, H, D, D]; of RWKV-4 the sums of every channel, [B, 1, C, 3]. */
  readonly matrix: Tensor64;
}

/** Variance to which the norm of heads adds this: eps 1e-5 times 8². */
export const headNormEpsilon = 64e-5;

/** 1/(1 + e^−x). */
export const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

/** @throws ShapeError `rwkv-shape` where two widths differ */
export function requireChannels(channels: number, wanted: number): void {
  if (channels === wanted) return;
  throw new ShapeError(
    "rwkv-shape",
    `Cannot mix as the weights must be of the width of x: ${wanted} and ${channels}. Pass x [B, N, C] of their width`,
  );
}

/** Every number changed. */
export function map(x: Tensor64, change: (value: number, place: number) => number): Tensor64 {
  return { data: x.data.map(change), shape: x.shape };
}

/** The token before each token; `previous` before the first. */
export function shifted(x: Tensor64, previous: Tensor64 | undefined): Tensor64 {
  const [, tokens, channels] = x.shape;
  return map(x, (_, place) => {
    const row = Math.floor(place / channels);
    if (row % tokens > 0) return x.data[place - channels];
    return previous?.data[Math.floor(row / tokens) * channels + (place % channels)] ?? 0;
  });
}

/** The last token of each batch entry, [B, C]. */
export function lastTokens(x: Tensor64, batch: number, tokens: number, channels: number): Tensor64 {
  const rows = zeros64([batch, channels]);
  for (let entry = 0; entry < batch; entry++) {
    const end = (entry + 1) * tokens * channels;
    rows.data.set(x.data.subarray(end - channels, end), entry * channels);
  }
  return rows;
}

/** x + (before − x)⊙weight. */
export function mix(x: Tensor64, before: Tensor64, weight: Tensor | Tensor64): Tensor64 {
  const channels = x.shape[2];
  return map(x, (value, place) => value + (before.data[place] - value) * weight.data[place % channels]);
}

/** Rows plus one bias. */
export function plus(x: Tensor64, bias: Tensor | Tensor64): Tensor64 {
  return map(x, (value, place) => value + bias.data[place % bias.data.length]);
}

/** Rows times a matrix [in, out]. */
export function times(x: Tensor64, matrix: Tensor | Tensor64): Tensor64 {
  const [inputs, outputs] = matrix.shape;
  return product(x, matrix.data, [inputs, outputs], [outputs, 1]);
}

/** Rows times the transpose of a matrix [out, in], as linear layers store theirs. */
export function project(x: Tensor64, matrix: Tensor | Tensor64): Tensor64 {
  const [outputs, inputs] = matrix.shape;
  return product(x, matrix.data, [inputs, outputs], [1, inputs]);
}

function product(
  x: Tensor64,
  matrix: Float32Array | Float64Array,
  [inputs, outputs]: readonly [number, number],
  [fromStride, toStride]: readonly [number, number],
): Tensor64 {
  requireChannels(x.shape[2], inputs);
  const result = zeros64([x.shape[0], x.shape[1], outputs]);
  for (let row = 0; row < sizeOf(x.shape.slice(0, 2)); row++) {
    for (let to = 0; to < outputs; to++) {
      let sum = 0;
      for (let from = 0; from < inputs; from++) {
        sum += x.data[row * inputs + from] * matrix[from * fromStride + to * toStride];
      }
      result.data[row * outputs + to] = sum;
    }
  }
  return result;
}

/** [B, N, H·D] as [B, H, N, D]. */
export function toHeads(x: Tensor64, heads: number): Tensor64 {
  const [batch, tokens, channels] = x.shape;
  const width = channels / heads;
  const result = zeros64([batch, heads, tokens, width]);
  result.data.forEach((_, place) => {
    const row = Math.floor(place / width);
    const [head, token] = [Math.floor(row / tokens) % heads, row % tokens];
    const entry = Math.floor(row / (tokens * heads));
    result.data[place] = x.data[(entry * tokens + token) * channels + head * width + (place % width)];
  });
  return result;
}

/** [B, H, N, D] as [B, N, H·D]. */
export function fromHeads(x: Tensor64): Tensor64 {
  const [batch, heads, tokens, width] = x.shape;
  const result = zeros64([batch, tokens, heads * width]);
  result.data.forEach((_, place) => {
    const row = Math.floor(place / width);
    const [token, head] = [Math.floor(row / heads) % tokens, row % heads];
    const entry = Math.floor(row / (tokens * heads));
    result.data[place] = x.data[((entry * heads + head) * tokens + token) * width + (place % width)];
  });
  return result;
}

/** Every head's channels to mean 0 and variance 1, then times weight plus bias. */
export function headNorm(
  x: Tensor64,
  heads: number,
  weight: Tensor | Tensor64,
  bias: Tensor | Tensor64,
): Tensor64 {
  const channels = x.shape[2];
  const width = channels / heads;
  const means = headSums(x, width).map((sum) => sum / width);
  const centred = map(x, (value, place) => value - means[Math.floor(place / width)]);
  const variances = headSums(
    map(centred, (value) => value * value),
    width,
  ).map((sum) => sum / width);
  return map(centred, (value, place) => {
    const scaled = value / Math.sqrt(variances[Math.floor(place / width)] + headNormEpsilon);
    return scaled * weight.data[place % channels] + bias.data[place % channels];
  });
}

/** Sums over the channels of each head. */
export function headSums(x: Tensor64, width: number): Float64Array {
  const sums = new Float64Array(x.data.length / width);
  x.data.forEach((value, place) => (sums[Math.floor(place / width)] += value));
  return sums;
}
