/**
 * @file RWKV-4: a weighted mean of each channel's values on its own, weights e^{k} that fade, a bonus for the token
 * itself. The state of a channel is a numerator and a denominator, both times e^{−p}, and their largest logarithm p.
 */
import { type PartFactory } from "../base/part.ts";
import { type Tensor64, zeros64 } from "../base/tensor.ts";
import { type Form } from "./core-reference.ts";
import { bonusInput, decayInputs, decayLogs, keyInputs, stateInput } from "./rule-inputs.ts";
import { backwardChannel, type Channel, pairChunk, recurrentChannel } from "./rwkv4-channel.ts";
import {
  type ChunkOption,
  defineRule,
  type LiftedChannels,
  type RecurrentRule,
  type RuleCall,
  type RuleGradients,
  type RuleInput,
  type RuleSizes,
} from "./rule.ts";

const stateShape = ({ batch, heads, width }: RuleSizes): readonly number[] => [batch, heads, width, 3];

/**
 * o_t = (Σ_{i<t} e^{−(t−1−i)w + k_i} v_i + e^{u + k_t} v_t)/(the same without v), in every channel on its own. There
 * is no q: the receptance gates what comes out. k and v are of one shape; `decay` e^{−w} in (0, 1) (or `logDecay`
 * −w) and `u` are [H, D]. The state [B, H, D, 3] holds numerator, denominator and their scale; a channel whose denominator is
 * 0, as in a state of zeros, holds nothing.
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { recurrence, rwkv4, tensor } from "qklab";
 * const mix = recurrence({ rule: rwkv4() });
 * const k = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out } = await mix({ k, v: k, decay: tensor([0.9, 0.5], [1, 2]), u: tensor([1, 1], [1, 2]) });
 * ```
 */
export const rwkv4: PartFactory<RecurrentRule, ChunkOption> = defineRule<ChunkOption>(
  {
    selector: "rwkv4",
    formula: "o_t = (Σ_{i<t} e^(−(t−1−i)w + k_i)·v_i + e^(u + k_t)·v_t)/(the same without v), per channel",
    source: "Peng et al. 2023, RWKV: Reinventing RNNs for the Transformer Era, equations 16 and 19 to 28",
  },
  () => ({
    inputs: [
      ...(["k", "v"] as const).map((name): RuleInput => ({ ...keyInputs[0], name, extents: "[B, H, N, D]" })),
      ...decayInputs("channel"),
      bonusInput,
      stateInput(stateShape, "D", "3"),
    ],
    parameters: [],
    hasWhole: false,
    stateShape,
    hasLogScales: true,
    liftChannels,
    forward: (call, form) => {
      const out = zeros64(call.inputs.v.shape);
      const state = zeros64(stateShape(call.sizes));
      for (const { channel, write, row } of channelsOf(call)) {
        const result = inForm(channel, form);
        write(out, result.out);
        state.data.set(result.state, row * 3);
      }
      return { out, state };
    },
    backward: (call, { out: dOut, state: dState }) => gradientsOf(call, dOut, dState),
  }),
);

function liftChannels({ inputs }: RuleCall): LiftedChannels {
  const { k, v, u, state } = inputs;
  const { logs, pullBack } = decayLogs(inputs);
  return {
    inputs: { k, v, u, logDecay: logs, ...(state === undefined ? {} : { state }) },
    pullBack: ({ logDecay, ...gradients }) => ({
      inputs: { ...gradients, ...pullBack(logDecay) },
      parameters: {},
    }),
  };
}

function inForm(channel: Channel, form: Form): { readonly out: Float64Array; readonly state: Float64Array } {
  if (form === "recurrent") return recurrentChannel(channel);
  const tokens = channel.k.length;
  const chunk = form === "parallel" ? tokens : form.chunk;
  const out = new Float64Array(tokens);
  let { state } = channel;
  for (let start = 0; start < tokens; start += chunk) {
    const [k, v] = [channel.k, channel.v].map((rows) => rows.subarray(start, start + chunk));
    const result = pairChunk({ ...channel, k, v, state });
    out.set(result.out, start);
    ({ state } = result);
  }
  return { out, state };
}

function gradientsOf(call: RuleCall, dOut: Tensor64, dState: Tensor64 | undefined): RuleGradients {
  const { k, v, u, state } = call.inputs;
  const { pullBack, logs } = decayLogs(call.inputs);
  const [dk, dv, du, dLogs] = [k, v, u, logs].map(({ shape }) => zeros64(shape));
  const dFirst = state === undefined ? undefined : zeros64(state.shape);
  for (const { channel, read, write, row, place } of channelsOf(call)) {
    const ending = dState?.data.subarray(row * 3, row * 3 + 3) ?? new Float64Array(3);
    const gradient = backwardChannel(channel, read(dOut), ending);
    const isStored = channel.state[1] !== 0;
    write(dk, gradient.k);
    write(dv, gradient.v);
    du.data[place] += gradient.u;
    dLogs.data[place] += gradient.logDecay;
    if (isStored) dFirst?.data.set(gradient.state, row * 3);
  }
  return {
    inputs: { k: dk, v: dv, u: du, ...pullBack(dLogs), ...(dFirst === undefined ? {} : { state: dFirst }) },
    parameters: {},
  };
}

interface PlacedChannel {
  readonly channel: Channel;
  /** The channel's numbers of a [B, H, N, D] tensor. */
  readonly read: (tensor: Tensor64) => Float64Array;
  readonly write: (tensor: Tensor64, numbers: Float64Array) => void;
  /** Its place among all channels of all batch entries, and among those of one. */
  readonly row: number;
  readonly place: number;
}

function* channelsOf(call: RuleCall): Generator<PlacedChannel> {
  const { k, v, u, state } = call.inputs;
  const { batch, heads, tokens, width } = call.sizes;
  const { logs } = decayLogs(call.inputs);
  for (let row = 0; row < batch * heads * width; row++) {
    const [head, d] = [Math.floor(row / width), row % width];
    const at = (t: number): number => (head * tokens + t) * width + d;
    const place = row % (heads * width);
    const read = ({ data }: Tensor64): Float64Array =>
      Float64Array.from({ length: tokens }, (_, t) => data[at(t)]);
    yield {
      channel: {
        k: read(k),
        v: read(v),
        logDecay: logs.data[place],
        u: u.data[place],
        state:
          state === undefined || state.data[row * 3 + 1] === 0
            ? Float64Array.of(0, 0, -Infinity)
            : state.data.slice(row * 3, row * 3 + 3),
      },
      read,
      write: ({ data }, numbers) => numbers.forEach((value, t) => (data[at(t)] = value)),
      row,
      place,
    };
  }
}
