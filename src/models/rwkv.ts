/**
 * @file The two blocks of RWKV-7, in f64 for inference: time mix (the recurrence `rwkv7` between token shift, low-rank
 * networks that make its decays and rates from the data, a norm of heads, a bonus and a gate) and channel mix. Weights
 * have the names that the trained models have, without the prefix of their layer.
 */
import { type Tensor64, tensor64 } from "../base/tensor.ts";
import { parseRecurrence, recurrenceForward } from "../recurrence/index.ts";
import {
  fromHeads,
  headNorm,
  headSums,
  lastTokens,
  map,
  mix,
  plus,
  project,
  requireChannels,
  shifted,
  sigmoid,
  times,
  type TimeMixState,
  toHeads,
  type Weights,
} from "./rwkv-parts.ts";

/** Names of a time mix's weights: `x_…` mix a token with the one before it, `…0 …1 …2` are low-rank networks. */
export type Rwkv7TimeMixWeight =
  | `x_${"r" | "w" | "k" | "v" | "a" | "g"}`
  | `${"w" | "a" | "v"}${0 | 1 | 2}`
  | `g${1 | 2}`
  | `${"receptance" | "key" | "value" | "output"}.weight`
  | `ln_x.${"weight" | "bias"}`
  | `${"k" | "r"}_k`
  | "k_a";

/** Weights of a channel mix. */
export type Rwkv7ChannelMixWeight = "x_k" | "key.weight" | "value.weight";

/** What a time mix returns. */
export interface Rwkv7TimeMixResult {
  /** [B, N, C] */
  readonly out: Tensor64;
  /** Values of this layer, [B, N, C]; later layers mix those of the first into theirs. */
  readonly values: Tensor64;
  readonly state: TimeMixState;
}

const rule = parseRecurrence("rwkv7");

/**
 * The time mix of RWKV-7. With x̄ = x + (x_{t−1} − x)⊙x_· for each of its inputs:
 *
 * r = R·x̄, k = K·x̄, v = V·x̄ (mixed with the first layer's by σ(v0 + x̄·v1·v2)), log w = −e^{−½}·σ(w0 + tanh(x̄·w1)·w2),
 * a = σ(a0 + x̄·a1·a2), g = σ(x̄·g1)·g2; out = O·((norm(rwkv7(r, k, v, w, a, κ = k⊙k_k)) + (r·(k̃⊙r_k))v)⊙g).
 *
 * @param weights - of one layer; `r_k` is [H, D]
 * @param x - [B, N, C] after the layer's norm
 * @param options - `firstValues`: those of the first layer, absent in the first; `state`: of the tokens before
 * @throws ShapeError `rwkv-shape` for weights that do not fit
 * @see Peng et al. 2025, RWKV-7 Goose, section 4.1
 */
export function rwkv7TimeMix(
  weights: Weights<Rwkv7TimeMixWeight>,
  x: Tensor64,
  options: { readonly firstValues?: Tensor64; readonly state?: TimeMixState } = {},
): Rwkv7TimeMixResult {
  const { firstValues, state } = options;
  const [batch, tokens, channels] = x.shape;
  const [heads, width] = weights.r_k.shape;
  requireChannels(channels, weights.x_r.data.length);
  const all = heads * width;
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
  const kappa = map(keys, (value, place) => value * weights.k_k.data[place % all]);

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
    (key, place) => key * (1 + (rates.data[place] - 1) * weights.k_a.data[place % all]),
  );
  const bonus = headSums(
    map(queries, (query, place) => query * written.data[place] * weights.r_k.data[place % all]),
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
 * @throws ShapeError `rwkv-shape` for weights that do not fit
 * @example
 * ```ts
 * import { tensor64 } from "qklab";
 * import { rwkv7ChannelMix } from "qklab/models";
 * const matrix = tensor64([1, 0, 0, 1], [2, 2]);
 * const weights = { x_k: tensor64([0, 0], [2]), "key.weight": matrix, "value.weight": matrix };
 * rwkv7ChannelMix(weights, tensor64([-1, 3], [1, 1, 2])).out.data; // [0, 9]
 * ```
 */
export function rwkv7ChannelMix(
  weights: Weights<Rwkv7ChannelMixWeight>,
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
