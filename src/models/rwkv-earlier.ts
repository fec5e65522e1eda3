/**
 * @file The blocks of RWKV-4, 5 and 6, in f64 for inference: the recurrences of these names between token shift, a receptance
 * or a norm of heads with a gate, and the channel mix that they share. Weights have the names that the trained models
 * have, without the prefix of their layer.
 */
import { type Tensor, type Tensor64, tensor64 } from "../base/tensor.ts";
import { parseRecurrence, recurrenceForward, type RecurrenceInputs } from "../recurrence/index.ts";
import {
  fromHeads,
  headNorm,
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

/** What a time mix returns. */
export interface EarlierTimeMixResult {
  /** [B, N, C] */
  readonly out: Tensor64;
  readonly state: TimeMixState;
}

type Linear<Name extends string> = `${Name}.weight`;

/** Weights of an RWKV-4 time mix: decay and bonus [C], shares of the token itself, matrices [C, C]. */
export type Rwkv4TimeMixWeight =
  | "time_decay"
  | "time_first"
  | `time_mix_${"k" | "v" | "r"}`
  | Linear<"key" | "value" | "receptance" | "output">;

/** Weights of an RWKV-5 time mix: decay and bonus [H, D]. */
export type Rwkv5TimeMixWeight =
  | "time_decay"
  | "time_faaaa"
  | `time_mix_${"k" | "v" | "r" | "g"}`
  | `ln_x.${"weight" | "bias"}`
  | Linear<"key" | "value" | "receptance" | "gate" | "output">;

/** Weights of an RWKV-6 time mix: `time_maa_w1` [C, 5·R], `time_maa_w2` [5, R, C], `time_decay_w1` and `_w2` low-rank. */
export type Rwkv6TimeMixWeight =
  | `time_decay${"" | "_w1" | "_w2"}`
  | "time_faaaa"
  | `time_maa_${"x" | "w" | "k" | "v" | "r" | "g" | "w1" | "w2"}`
  | `ln_x.${"weight" | "bias"}`
  | Linear<"key" | "value" | "receptance" | "gate" | "output">;

/** Weights of the channel mix of RWKV-4 and 5; those of 6 are 1 − `time_maa_…`. */
export type RwkvGatedChannelMixWeight = `time_mix_${"k" | "r"}` | Linear<"key" | "value" | "receptance">;

const rules = {
  rwkv4: parseRecurrence("rwkv4"),
  rwkv5: parseRecurrence("rwkv5"),
  rwkv6: parseRecurrence("rwkv6"),
} as const;

/**
 * The time mix of RWKV-4: O·(σ(r)⊙rwkv4(k, v)) with decays e^{−e^{time_decay}} and the bonus `time_first`; r, k and v are
 * matrices times x⊙μ + x_{t−1}⊙(1 − μ) with μ of each.
 *
 * @param weights - of one layer
 * @param x - [B, N, C] after the layer's norm
 * @param state - of the tokens before
 * @throws ShapeError `rwkv-shape` for weights that do not fit
 * @see Peng et al. 2023, RWKV, section 3.1
 * @example
 * ```ts
 * import { tensor64 } from "qklab";
 * import { rwkv4TimeMix } from "qklab/models";
 * const [numbers, matrix] = [tensor64([0, 0], [2]), tensor64([1, 0, 0, 1], [2, 2])];
 * const mix = { time_mix_k: numbers, time_mix_v: numbers, time_mix_r: numbers };
 * const weights = {
 *   ...mix,
 *   ...{ time_decay: numbers, time_first: numbers },
 *   ...{ "key.weight": matrix, "value.weight": matrix, "receptance.weight": matrix, "output.weight": matrix },
 * };
 * const { out, state } = rwkv4TimeMix(weights, tensor64([1, 2, 3, 4], [1, 2, 2]));
 * const next = rwkv4TimeMix(weights, tensor64([5, 6], [1, 1, 2]), state);
 * next.out.shape; // [1, 1, 2]
 * ```
 */
export function rwkv4TimeMix(
  weights: Weights<Rwkv4TimeMixWeight>,
  x: Tensor64,
  state?: TimeMixState,
): EarlierTimeMixResult {
  const [batch, tokens, channels] = x.shape;
  requireChannels(channels, weights.time_mix_k.data.length);
  const all = weights.time_decay.data.length;
  const shares = sharing(x, state);
  const rows = (name: "key" | "value" | "receptance", share: Tensor | Tensor64): Tensor64 =>
    project(shares(share), weights[`${name}.weight`]);
  const { out, state: matrix } = recurrenceForward(rules.rwkv4, {
    k: toHeads(rows("key", weights.time_mix_k), 1),
    v: toHeads(rows("value", weights.time_mix_v), 1),
    logDecay: tensor64(decayLogs(weights.time_decay), [1, all]),
    u: tensor64(weights.time_first.data, [1, all]),
    ...(state === undefined ? {} : { state: state.matrix }),
  });
  const receptance = rows("receptance", weights.time_mix_r);
  const gated = map(fromHeads(out), (value, place) => sigmoid(receptance.data[place]) * value);
  return {
    out: project(gated, weights["output.weight"]),
    state: { previous: lastTokens(x, batch, tokens, channels), matrix },
  };
}

/**
 * The time mix of RWKV-5: O·(norm(rwkv5(r, k, v))⊙silu(g)) with decays e^{−e^{time_decay}} and the bonus `time_faaaa`, both
 * [H, D]; r, k, v and g are matrices times x⊙μ + x_{t−1}⊙(1 − μ) with μ of each.
 *
 * @param weights - of one layer
 * @param x - [B, N, C] after the layer's norm
 * @param state - of the tokens before
 * @throws ShapeError `rwkv-shape` for weights that do not fit
 * @see Peng et al. 2024, Eagle and Finch, section 4.1
 */
export function rwkv5TimeMix(
  weights: Weights<Rwkv5TimeMixWeight>,
  x: Tensor64,
  state?: TimeMixState,
): EarlierTimeMixResult {
  const [heads, width] = weights.time_faaaa.shape;
  requireChannels(x.shape[2], weights.time_mix_r.data.length);
  const shares = sharing(x, state);
  return gatedHeads(weights, x, state, {
    inputs: {
      r: shares(weights.time_mix_r),
      k: shares(weights.time_mix_k),
      v: shares(weights.time_mix_v),
      g: shares(weights.time_mix_g),
    },
    rule: rules.rwkv5,
    logDecay: tensor64(decayLogs(weights.time_decay), [heads, width]),
  });
}

/**
 * The time mix of RWKV-6: as RWKV-5 with decays and shares that the data choose. With δ = x_{t−1} − x and
 * m = tanh((x + δ⊙time_maa_x)·time_maa_w1), the inputs of w, k, v, r and g are x + δ⊙(time_maa_· + m_··time_maa_w2), and
 * log w = −e^{time_decay + tanh(x_w·time_decay_w1)·time_decay_w2}.
 *
 * @param weights - of one layer
 * @param x - [B, N, C] after the layer's norm
 * @param state - of the tokens before
 * @throws ShapeError `rwkv-shape` for weights that do not fit
 * @see Peng et al. 2024, Eagle and Finch, section 4.2
 */
export function rwkv6TimeMix(
  weights: Weights<Rwkv6TimeMixWeight>,
  x: Tensor64,
  state?: TimeMixState,
): EarlierTimeMixResult {
  const [heads] = weights.time_faaaa.shape;
  const channels = x.shape[2];
  requireChannels(channels, weights.time_maa_x.data.length);
  const before = shifted(x, state?.previous);
  const hidden = map(times(mix(x, before, weights.time_maa_x), weights.time_maa_w1), Math.tanh);
  const rank = weights.time_maa_w2.shape[1];
  const order = ["w", "k", "v", "r", "g"] as const;
  /** x + δ⊙(the name's own share + its part of the hidden numbers through its matrix). */
  const shared = (name: (typeof order)[number]): Tensor64 => {
    const index = order.indexOf(name);
    const [batch, tokens] = x.shape;
    const part = tensor64(
      hidden.data.filter((_, place) => Math.floor((place % (5 * rank)) / rank) === index),
      [batch, tokens, rank],
    );
    const matrix = {
      data: weights.time_maa_w2.data.subarray(index * rank * channels, (index + 1) * rank * channels),
      shape: [rank, channels],
    } as Tensor64;
    const chosen = plus(times(part, matrix), weights[`time_maa_${name}`]);
    return map(x, (value, place) => value + (before.data[place] - value) * chosen.data[place]);
  };
  const rates = plus(
    times(map(times(shared("w"), weights.time_decay_w1), Math.tanh), weights.time_decay_w2),
    weights.time_decay,
  );
  return gatedHeads(weights, x, state, {
    inputs: { r: shared("r"), k: shared("k"), v: shared("v"), g: shared("g") },
    rule: rules.rwkv6,
    logDecay: toHeads({ data: decayLogs(rates), shape: rates.shape }, heads),
  });
}

/**
 * The channel mix of RWKV-4, 5 and 6: σ(R·x_r)⊙(V·max(K·x_k, 0)²), with x_· = x⊙μ + x_{t−1}⊙(1 − μ).
 *
 * @param weights - of one layer; of RWKV-6, whose `time_maa_…` are shares of the token before, give 1 − those
 * @param x - [B, N, C] after the layer's norm
 * @param previous - the input of the token before, [B, C]; zeros when absent
 * @returns `out` [B, N, C], and `previous` for the tokens that follow
 * @throws ShapeError `rwkv-shape` for weights that do not fit
 * @example
 * ```ts
 * import { tensor64 } from "qklab";
 * import { rwkvGatedChannelMix } from "qklab/models";
 * const [share, matrix] = [tensor64([1, 1], [2]), tensor64([1, 0, 0, 1], [2, 2])];
 * const weights = { time_mix_k: share, time_mix_r: share, "key.weight": matrix, "value.weight": matrix, "receptance.weight": matrix };
 * rwkvGatedChannelMix(weights, tensor64([0, 2], [1, 1, 2])).out.data; // [0, 3.523]
 * ```
 */
export function rwkvGatedChannelMix(
  weights: Weights<RwkvGatedChannelMixWeight>,
  x: Tensor64,
  previous?: Tensor64,
): { readonly out: Tensor64; readonly previous: Tensor64 } {
  const [batch, tokens, channels] = x.shape;
  requireChannels(channels, weights.time_mix_k.data.length);
  const before = shifted(x, previous);
  const hidden = project(mix(x, before, othersOf(weights.time_mix_k)), weights["key.weight"]);
  const squared = map(hidden, (value) => Math.max(value, 0) ** 2);
  const receptance = project(mix(x, before, othersOf(weights.time_mix_r)), weights["receptance.weight"]);
  const out = map(
    project(squared, weights["value.weight"]),
    (value, place) => sigmoid(receptance.data[place]) * value,
  );
  return { out, previous: lastTokens(x, batch, tokens, channels) };
}

/** 1 − μ, the share of the token before. */
function othersOf({ data, shape }: Tensor | Tensor64): Tensor64 {
  return tensor64(
    Float64Array.from(data, (share) => 1 - share),
    shape,
  );
}

/** x⊙μ + x_{t−1}⊙(1 − μ) for any μ. */
function sharing(x: Tensor64, state: TimeMixState | undefined): (share: Tensor | Tensor64) => Tensor64 {
  const before = shifted(x, state?.previous);
  return (share) => mix(x, before, othersOf(share));
}

/** −e^{…} of every number: log w for w = e^{−e^{…}}. */
function decayLogs({ data }: Tensor | Tensor64): Float64Array {
  return Float64Array.from(data, (rate) => -Math.exp(rate));
}

/** O·(norm(rule(R·r, K·k, V·v))⊙silu(G·g)), which RWKV-5 and 6 share. */
function gatedHeads(
  weights: Weights<Exclude<Rwkv5TimeMixWeight, "time_decay" | `time_mix_${string}`>>,
  x: Tensor64,
  state: TimeMixState | undefined,
  parts: {
    readonly inputs: Readonly<Record<"r" | "k" | "v" | "g", Tensor64>>;
    readonly rule: Parameters<typeof recurrenceForward>[0];
    readonly logDecay: Tensor64;
  },
): EarlierTimeMixResult {
  const [batch, tokens, channels] = x.shape;
  const [heads, width] = weights.time_faaaa.shape;
  const inHeads = (rows: Tensor64, name: "receptance" | "key" | "value"): Tensor64 =>
    toHeads(project(rows, weights[`${name}.weight`]), heads);
  const call: RecurrenceInputs<Tensor64> = {
    q: inHeads(parts.inputs.r, "receptance"),
    k: inHeads(parts.inputs.k, "key"),
    v: inHeads(parts.inputs.v, "value"),
    logDecay: parts.logDecay,
    u: tensor64(weights.time_faaaa.data, [heads, width]),
    ...(state === undefined ? {} : { state: state.matrix }),
  };
  const { out, state: matrix } = recurrenceForward(parts.rule, call);
  const normed = headNorm(fromHeads(out), heads, weights["ln_x.weight"], weights["ln_x.bias"]);
  const gate = project(parts.inputs.g, weights["gate.weight"]);
  const gated = map(normed, (value, place) => {
    const open = gate.data[place];
    return value * open * sigmoid(open);
  });
  return {
    out: project(gated, weights["output.weight"]),
    state: { previous: lastTokens(x, batch, tokens, channels), matrix },
  };
}
