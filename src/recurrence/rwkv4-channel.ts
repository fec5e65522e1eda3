/** @file One channel of RWKV-4 in its forms, and its gradients. Every exponential is of a number ≤ 0. */

import { type Tensor64 } from "../base/tensor.ts";

/** What all channels of a call read; the state is numerator, denominator and scale, [B, H, D, 3]. */
export interface ChannelInputs<T = Tensor64> {
  /** [B, H, N, D] */
  readonly k: T;
  readonly v: T;
  /** −w, [H, D] */
  readonly logDecay: T;
  /** [H, D] */
  readonly u: T;
  readonly state?: Tensor64;
}

/** A channel: N keys and values, its decay and bonus, and the state before the first token. */
export interface Channel {
  readonly k: Float64Array;
  readonly v: Float64Array;
  /** −w */
  readonly logDecay: number;
  readonly u: number;
  /** Numerator and denominator times e^{−p}, and p; p is −∞ before the first token of all. */
  readonly state: Float64Array;
}

interface ChannelResult {
  readonly out: Float64Array;
  readonly state: Float64Array;
}

/** Token by token. */
export function recurrentChannel(channel: Channel): ChannelResult {
  const { k, v, u } = channel;
  const state = channel.state.slice();
  const out = k.map((key, t) => {
    const [numerator, denominator, p] = state;
    const scale = Math.max(p, u + key);
    const [past, own] = [Math.exp(p - scale), Math.exp(u + key - scale)];
    const value = (past * numerator + own * v[t]) / (past * denominator + own);
    update(channel, t, state);
    return value;
  });
  return { out, state };
}

/** The state with token t. */
function update({ k, v, logDecay }: Channel, t: number, state: Float64Array): void {
  const [numerator, denominator, p] = state;
  const scale = Math.max(p + logDecay, k[t]);
  const [kept, added] = [Math.exp(p + logDecay - scale), Math.exp(k[t] - scale)];
  state[0] = kept * numerator + added * v[t];
  state[1] = kept * denominator + added;
  state[2] = scale;
}

/** All pairs of the tokens given, and the state before them as one more. */
export function pairChunk({ k, v, logDecay, u, state: first }: Channel): ChannelResult {
  const tokens = k.length;
  /** Σ e^{log}·(value, 1) over the first state and tokens before `stop`, their logs as seen from token `seen`. */
  const sums = (stop: number, seen: number, own?: number): readonly [number, number, number] => {
    const logs = Float64Array.from({ length: stop }, (_, i) => (seen - i) * logDecay + k[i]);
    const state = first[2] + (seen + 1) * logDecay;
    const ownLog = own === undefined ? -Infinity : u + k[own];
    const scale = logs.reduce((most, log) => Math.max(most, log), Math.max(state, ownLog));
    const ownWeight = Math.exp(ownLog - scale);
    let numerator = Math.exp(state - scale) * first[0] + ownWeight * (own === undefined ? 0 : v[own]);
    let denominator = Math.exp(state - scale) * first[1] + ownWeight;
    logs.forEach((log, i) => {
      numerator += Math.exp(log - scale) * v[i];
      denominator += Math.exp(log - scale);
    });
    return [numerator, denominator, scale];
  };
  const out = Float64Array.from({ length: tokens }, (_, t) => {
    const [numerator, denominator] = sums(t, t - 1, t);
    return numerator / denominator;
  });
  return { out, state: Float64Array.from(sums(tokens, tokens - 1)) };
}

/** Gradients of a channel. */
export interface ChannelGradients {
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly logDecay: number;
  readonly u: number;
  readonly state: Float64Array;
}

/**
 * Gradients of Σ out·dOut + state·dState. Outputs do not depend on the scales p, which are held constant on the way; the
 * last one gets its own gradient at the token it came from.
 */
export function backwardChannel(
  channel: Channel,
  dOut: Float64Array,
  dState: Float64Array,
): ChannelGradients {
  const { k, v, logDecay, u } = channel;
  const tokens = k.length;
  const states = [channel.state];
  for (let t = 0; t < tokens; t++) {
    const next = states[t].slice();
    update(channel, t, next);
    states.push(next);
  }
  const [dk, dv] = [new Float64Array(tokens), new Float64Array(tokens)];
  let [dLogDecay, du] = [0, 0];
  let [dNumerator, dDenominator] = dState;
  for (let t = tokens - 1; t >= 0; t--) {
    const [numerator, denominator, p] = states[t];
    const scale = states[t + 1][2];
    const [kept, added] = [Math.exp(p + logDecay - scale), Math.exp(k[t] - scale)];
    dv[t] += added * dNumerator;
    dk[t] += added * (dNumerator * v[t] + dDenominator);
    dLogDecay += kept * (dNumerator * numerator + dDenominator * denominator);
    [dNumerator, dDenominator] = [kept * dNumerator, kept * dDenominator];

    const seen = Math.max(p, u + k[t]);
    const [past, own] = [Math.exp(p - seen), Math.exp(u + k[t] - seen)];
    const sum = past * denominator + own;
    const output = (past * numerator + own * v[t]) / sum;
    const share = dOut[t] / sum;
    const dOwn = own * share * (v[t] - output);
    dv[t] += own * share;
    dk[t] += dOwn;
    du += dOwn;
    dNumerator += past * share;
    dDenominator -= past * share * output;
  }
  // Of the first state's scale, which multiplies both of its sums; none before the first token of all.
  let dFirst = dNumerator * channel.state[0] + dDenominator * channel.state[1];
  const last = states[tokens];
  const dLast = dState[2] - dState[0] * last[0] - dState[1] * last[1];
  let winner = tokens - 1;
  while (winner >= 0 && states[winner + 1][2] !== k[winner]) winner--;
  dLogDecay += (tokens - 1 - winner) * dLast;
  if (winner >= 0) dk[winner] += dLast;
  else dFirst += dLast;
  return {
    k: dk,
    v: dv,
    logDecay: dLogDecay,
    u: du,
    state: Float64Array.of(dNumerator, dDenominator, dFirst),
  };
}
