/**
 * @file The two blocks of RWKV-7, in f64 for inference: time mix (the recurrence `rwkv7` between token shift, low-rank
 * networks that make its decays and rates from the data, a norm of heads, a bonus and a gate) and channel mix. Weights
 * have the names that the trained models have, without the prefix of their layer.
 */
import { ShapeError } from "../base/errors.ts";
import { sizeOf, type Tensor, type Tensor64, tensor64, zeros64 } from "../base/tensor.ts";
import { parseRecurrence, recurrenceForward } from "../recurrence/index.ts";

/** Names of a time mix's weights: `x_…` mix a token with the one before it, `…0 …1 …2` are low-rank networks. */
export type TimeMixWeight =
  | `x_${"r" | "w" | "k" | "v" | "a" | "g"}`
  | `${"w" | "a" | "v"}${0 | 1 | 2}`
  | `g${1 | 2}`
  | `${"receptance" | "key" | "value" | "output"}.weight`
  | `ln_x.${"weight" | "bias"}`
  | `${"k" | "r"}_k`
  | "k_a";

/** Weights of a channel mix. */
export type ChannelMixWeight = "x_k" | "key.weight" | "value.weight";

/** Weights by name. */
export type Weights<Name extends string> = Readonly<Record<Name, Tensor | Tensor64>>;

/** What a time mix remembers of the tokens before: constant memory, however many they were. */
export interface TimeMixState {
  /** The last token's input, [B, C]. */
  readonly previous: Tensor64;
  /** M, [B, H, D, D]. */
  readonly matrix: Tensor64;
}

/** What a time mix returns. */
export interface TimeMixResult {
  /** [B, N, C] */
  readonly out: Tensor64;
  /** Values of this layer, [B, N, C]; later layers mix those of the first into theirs. */
  readonly values: Tensor64;
  readonly state: TimeMixState;
}

/** Variance to which the norm of heads adds this: eps 1e-5 times 8². */
const headNormEpsilon = 64e-5;

const rule = parseRecurrence("rwkv7");

/**
 * The time mix of RWKV-7. With x̄ = x + (x_{t−1} − x)⊙x_· for each of its inputs:
 *
 * r = R·x̄, k = K·x̄, v = V·x̄ (mixed with the first layer's by σ(v0 + x̄·v1·v2)), log w = −e^{−½}·σ(w0 + tanh(x̄·w1)·w2),
 * a = σ(a0 + x̄·a1·a2), g = σ(x̄·g1)·g2; out = O·((norm(rwkv7(r, k, v, w, a, κ = k⊙k_k)) + (r·(k̃⊙r_k))v)⊙g).
 *
 * @param weights - of one layer; `r_k` is [H, D]
 * @param x - [B, N, C] after the layer's norm, C = H·D
 * @param options - `firstValues`: those of the first layer, absent in the first; `state`: of the tokens before
 * @throws ShapeError `rwkv-shape` for weights that do not fit
 * @see Peng et al. 2025, RWKV-7 Goose, section 4.1
 */
export function rwkv7TimeMix(
  weights: Weights<TimeMixWeight>,
  x: Tensor64,
  options: { readonly firstValues?: Tensor64; readonly state?: TimeMixState } = {},
): TimeMixResult {
  const { firstValues, state } = options;
  const [batch, tokens, channels] = x.shape;
  const [heads, width] = weights.r_k.shape;
  requireChannels(channels, heads * width);
  const before = shifted(x, state?.previous);
  const mixed = (name: "r" | "w" | "k" | "v" | "a" | "g"): Tensor64 => mix(x, before, weights[`x_${name}`]);
  const lowRank = (name: "w" | "a" | "v", inner: (value: number) => number): Tensor64 =>
    plus(
      times(map(times(mixed(name), weights[`${name}1`]), inner), weights[`${name}2`]),
      weights[`${name}0`],
    );

  const queries = project(mixed("r"), weights["receptance.weight"]);
  const keys = project(mixed("k"), weights["key.weight"]);
  const ownValues = project(mixed("v"), weights["value.weight"]);
  const share = firstValues === undefined ? undefined : map(lowRank("v", identity), sigmoid);
  const values = map(ownValues, (value, place) =>
    share === undefined || firstValues === undefined
      ? value
      : value + (firstValues.data[place] - value) * share.data[place],
  );
  const logDecay = map(lowRank("w", Math.tanh), (value) => -Math.exp(-0.5) * sigmoid(value));
  const rates = map(lowRank("a", identity), sigmoid);
  const gate = times(map(times(mixed("g"), weights.g1), sigmoid), weights.g2);
  const kappa = map(keys, (value, place) => value * weights.k_k.data[place % channels]);

  const inHeads = (rows: Tensor64): Tensor64 => toHeads(rows, heads);
  const { out, state: matrix } = recurrenceForward(rule, {
    q: inHeads(queries),
    k: inHeads(keys),
    v: inHeads(values),
    logDecay: inHeads(logDecay),
    a: inHeads(rates),
    kappa: inHeads(kappa),
    ka: tensor64(weights.k_a.data, [heads, width]),
    ...(state === undefined ? {} : { state: state.matrix }),
  });
  const normed = headNorm(fromHeads(out), heads, weights["ln_x.weight"], weights["ln_x.bias"]);
  const written = map(
    keys,
    (key, place) => key * (1 + (rates.data[place] - 1) * weights.k_a.data[place % channels]),
  );
  const bonus = headSums(
    map(queries, (query, place) => query * written.data[place] * weights.r_k.data[place % channels]),
    width,
  );
  const gated = map(
    normed,
    (value, place) => (value + bonus[Math.floor(place / width)] * values.data[place]) * gate.data[place],
  );
  return {
    out: project(gated, weights["output.weight"]),
    values,
    state: { previous: lastTokens(x, batch, tokens, channels), matrix },
  };
}

/**
 * The channel mix of RWKV-7: V·max(K·(x + (x_{t−1} − x)⊙x_k), 0)².
 *
 * @param weights - of one layer
 * @param x - [B, N, C] after the layer's norm
 * @param previous - the input of the token before, [B, C]; zeros when absent
 * @returns `out` [B, N, C], and `previous` for the tokens that follow
 */
export function rwkvChannelMix(
  weights: Weights<ChannelMixWeight>,
  x: Tensor64,
  previous?: Tensor64,
): { readonly out: Tensor64; readonly previous: Tensor64 } {
  const [batch, tokens, channels] = x.shape;
  requireChannels(channels, weights.x_k.data.length);
  const hidden = project(mix(x, shifted(x, previous), weights.x_k), weights["key.weight"]);
  const squared = map(hidden, (value) => Math.max(value, 0) ** 2);
  return {
    out: project(squared, weights["value.weight"]),
    previous: lastTokens(x, batch, tokens, channels),
  };
}

const identity = (value: number): number => value;
const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

function requireChannels(channels: number, wanted: number): void {
  if (channels === wanted) return;
  throw new ShapeError(
    "rwkv-shape",
    `Cannot mix as the weights must be of the width of x: ${wanted} and ${channels}. Pass x [B, N, C] of their width`,
  );
}

function map(x: Tensor64, change: (value: number, place: number) => number): Tensor64 {
  return { data: x.data.map(change), shape: x.shape };
}

/** The token before each token; `previous` before the first. */
function shifted(x: Tensor64, previous: Tensor64 | undefined): Tensor64 {
  const [, tokens, channels] = x.shape;
  return map(x, (_, place) => {
    const row = Math.floor(place / channels);
    if (row % tokens > 0) return x.data[place - channels];
    return previous?.data[Math.floor(row / tokens) * channels + (place % channels)] ?? 0;
  });
}

function lastTokens(x: Tensor64, batch: number, tokens: number, channels: number): Tensor64 {
  const rows = zeros64([batch, channels]);
  for (let entry = 0; entry < batch; entry++) {
    const end = (entry + 1) * tokens * channels;
    rows.data.set(x.data.subarray(end - channels, end), entry * channels);
  }
  return rows;
}

/** x + (before − x)⊙weight. */
function mix(x: Tensor64, before: Tensor64, weight: Tensor | Tensor64): Tensor64 {
  const channels = x.shape[2];
  return map(x, (value, place) => value + (before.data[place] - value) * weight.data[place % channels]);
}

function plus(x: Tensor64, bias: Tensor | Tensor64): Tensor64 {
  return map(x, (value, place) => value + bias.data[place % bias.data.length]);
}

/** Rows times a matrix [in, out]. */
function times(x: Tensor64, matrix: Tensor | Tensor64): Tensor64 {
  const [inputs, outputs] = matrix.shape;
  return product(x, matrix.data, [inputs, outputs], [outputs, 1]);
}

/** Rows times the transpose of a matrix [out, in], as linear layers store theirs. */
function project(x: Tensor64, matrix: Tensor | Tensor64): Tensor64 {
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
function toHeads(x: Tensor64, heads: number): Tensor64 {
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
function fromHeads(x: Tensor64): Tensor64 {
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
function headNorm(x: Tensor64, heads: number, weight: Tensor | Tensor64, bias: Tensor | Tensor64): Tensor64 {
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
function headSums(x: Tensor64, width: number): Float64Array {
  const sums = new Float64Array(x.data.length / width);
  x.data.forEach((value, place) => (sums[Math.floor(place / width)] += value));
  return sums;
}
