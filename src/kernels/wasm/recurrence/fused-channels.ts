/** @file Channels with a largest logarithm of their own (rwkv4) on an engine: forward and backward over tokens. */
import { requireFinite, type Tensor, type Tensor64, zeros64 } from "../../../base/tensor.ts";
import { type ChannelInputs } from "../../../recurrence/rwkv4-channel.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { ChannelCall } from "./channel-call.ts";

/** What a forward pass knows that its backward pass would compute again. */
export interface ChannelsSaved {
  /** The inputs that it was computed from. */
  readonly inputs: ChannelInputs<Tensor>;
  /** States at the starts of chunks and behind the last, as the kernels hold them. */
  readonly states: Float32Array;
}

/** What channels compute. */
export interface FusedChannelsResult {
  /** [B, H, N, D] */
  readonly out: Tensor;
  /** Numerator, denominator and the logarithm of their scale after the last token, [B, H, D, 3]. */
  readonly state: Tensor64;
  /** Where asked for. */
  readonly saved?: ChannelsSaved;
}

/**
 * Outputs and last state, in time that grows with N; memory grows with N for the rows alone unless the pass is saved.
 *
 * @param inputs - k and v [B, H, N, D], logDecay and u [H, D], and the state before the first token, [B, H, D, 3]
 * @param options - `saves`: whether to return what {@link fusedChannelsBackward} reads (default no)
 * @throws NumbersError for NaN and infinities, UnsupportedError `memory` beyond 4 GiB
 */
export function fusedChannels(
  engine: WasmEngine,
  inputs: ChannelInputs<Tensor>,
  { saves = false }: { readonly saves?: boolean } = {},
): FusedChannelsResult {
  requireNumbers(inputs);
  const result = inCall(engine, (): FusedChannelsResult => {
    const call = new ChannelCall(engine, inputs, saves);
    call.writeFirst(inputs.state);
    const { out, state } = call.forward();
    return { out, state, ...(saves ? { saved: { inputs, states: call.copyStates() } } : {}) };
  });
  requireFinite("the output of the recurrence", result.out);
  requireFinite("the last state of the recurrence", result.state);
  return result;
}

/**
 * Gradients of Σ out·dOut + Σ state·dState by every input. Outputs do not depend on the scale p; the one of the last state
 * has its own gradient at the token that it came from.
 *
 * @param cotangents - gradients of the outputs, [B, H, N, D], and of the last state, [B, H, D, 3]
 * @throws NumbersError for NaN and infinities, UnsupportedError `memory` beyond 4 GiB
 */
export function fusedChannelsBackward(
  engine: WasmEngine,
  { inputs, states }: ChannelsSaved,
  cotangents: { readonly out: Tensor; readonly state?: Tensor64 },
): ChannelInputs<Tensor64> {
  const { out, state: ending } = cotangents;
  requireFinite("the gradient of out", out);
  if (ending !== undefined) requireFinite("the gradient of the state", ending);
  const gradients = inCall(engine, () => {
    const call = new ChannelCall(engine, inputs, true);
    call.restoreStates(states);
    return gradientsOf(call, inputs.state, out, ending);
  });
  for (const [name, gradient] of Object.entries(gradients) as [string, Tensor64][]) {
    requireFinite(`the gradient of ${name}`, gradient);
  }
  return gradients;
}

function gradientsOf(
  call: ChannelCall,
  first: Tensor64 | undefined,
  dOut: Tensor,
  ending: Tensor64 | undefined,
): ChannelInputs<Tensor64> {
  const { k, v, logDecay, u, begins } = call.backward(dOut, ending);
  const { tokens, width, heads } = call.sizes;
  const dFirst = first === undefined ? undefined : zeros64(first.shape);
  call.forChannels((channel) => {
    const { number, row, at } = channel;
    const start = call.stateOf(channel, 0);
    const isStored = start.denominator !== 0;
    const [dNumerator, dDenominator] = [begins.data[2 * row], begins.data[2 * row + 1]];
    let dScale = isStored ? dNumerator * start.numerator + dDenominator * start.denominator : 0;
    if (ending !== undefined) {
      const last = call.stateOf(channel, call.chunks);
      const [dn, dd, dp] = ending.data.subarray(3 * row, 3 * row + 3);
      const dLast = dp - dn * last.numerator - dd * last.denominator;
      const winner = tokens - 1 - last.age;
      logDecay.data[(number % heads) * width + at] += last.age * dLast;
      if (winner >= 0) k.data[(number * tokens + winner) * width + at] += dLast;
      else dScale += dLast;
    }
    if (dFirst === undefined || first === undefined || !isStored) return;
    const p = first.data[3 * row + 2];
    const factor = Math.exp(p - Math.fround(p));
    dFirst.data.set([factor * dNumerator, factor * dDenominator, dScale], 3 * row);
  });
  return { k, v, logDecay, u, ...(dFirst === undefined ? {} : { state: dFirst }) };
}

function requireNumbers(inputs: ChannelInputs<Tensor>): void {
  for (const [name, value] of Object.entries(inputs) as [string, Tensor | Tensor64 | undefined][]) {
    if (value !== undefined) requireFinite(name, value);
  }
}

function inCall<T>(engine: WasmEngine, use: () => T): T {
  const { mark } = engine.arena;
  try {
    return use();
  } finally {
    engine.arena.giveBack(mark);
  }
}
