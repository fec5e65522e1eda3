/** @file The blocks of RWKV-4, 5 and 6 against their formulas on plain arrays, and token by token against all at once. */
import { describe, expect, it } from "vitest";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor64, tensor64 } from "../base/tensor.ts";
import {
  rwkv4TimeMix,
  type Rwkv4TimeMixWeight,
  rwkv5TimeMix,
  type Rwkv5TimeMixWeight,
  rwkv6TimeMix,
  type Rwkv6TimeMixWeight,
  rwkvGatedChannelMix,
  type RwkvGatedChannelMixWeight,
} from "./rwkv-earlier.ts";
import { type TimeMixState } from "./rwkv-parts.ts";

const [batch, tokens, heads, width, rank] = [2, 5, 2, 3, 4];
const channels = heads * width;

/** Sums of a few dozen products of numbers of size 1 to 10, in another order. */
const rounding = 1e-11;

const stream = random("rwkv earlier");
const draw = (...shape: readonly number[]): Tensor64 =>
  tensor64(
    Float64Array.from({ length: sizeOf(shape) }, () => stream.normal()),
    shape,
  );
const vectors = <Name extends string>(...names: readonly Name[]): Record<Name, Tensor64> =>
  Object.fromEntries(names.map((name) => [name, draw(channels)])) as Record<Name, Tensor64>;
const matrices = <Name extends string>(...names: readonly Name[]): Record<`${Name}.weight`, Tensor64> =>
  Object.fromEntries(names.map((name) => [`${name}.weight`, draw(channels, channels)])) as Record<
    `${Name}.weight`,
    Tensor64
  >;

const four: Record<Rwkv4TimeMixWeight, Tensor64> = {
  ...vectors("time_decay", "time_first", "time_mix_k", "time_mix_v", "time_mix_r"),
  ...matrices("key", "value", "receptance", "output"),
};
const five: Record<Rwkv5TimeMixWeight, Tensor64> = {
  ...vectors("time_mix_k", "time_mix_v", "time_mix_r", "time_mix_g", "ln_x.weight", "ln_x.bias"),
  ...matrices("key", "value", "receptance", "gate", "output"),
  time_decay: draw(heads, width),
  time_faaaa: draw(heads, width),
};
const six: Record<Rwkv6TimeMixWeight, Tensor64> = {
  ...vectors("time_maa_x", "time_maa_w", "time_maa_k", "time_maa_v", "time_maa_r", "time_maa_g"),
  ...vectors("ln_x.weight", "ln_x.bias", "time_decay"),
  ...matrices("key", "value", "receptance", "gate", "output"),
  time_maa_w1: draw(channels, 5 * rank),
  time_maa_w2: draw(5, rank, channels),
  time_decay_w1: draw(channels, rank),
  time_decay_w2: draw(rank, channels),
  time_faaaa: draw(heads, width),
};
const mixing: Record<RwkvGatedChannelMixWeight, Tensor64> = {
  ...vectors("time_mix_k", "time_mix_r"),
  "key.weight": draw(4 * channels, channels),
  "value.weight": draw(channels, 4 * channels),
  "receptance.weight": draw(channels, channels),
};
const x = draw(batch, tokens, channels);

const row = (t: number): number[] => (t < 0 ? zeros : [...x.data.subarray(t * channels, (t + 1) * channels)]);
const zeros = Array.from({ length: channels }, () => 0);
const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));
/** W·x for W [out, in]. */
const project = ({ data, shape }: Tensor64, values: readonly number[]): number[] =>
  Array.from({ length: shape[0] }, (_, to) =>
    values.reduce((sum, value, from) => sum + data[to * shape[1] + from] * value, 0),
  );
/** x·W for W [in, out], from an offset. */
const times = (values: readonly number[], { data }: Tensor64, outputs: number, offset = 0): number[] =>
  Array.from({ length: outputs }, (_, to) =>
    values.reduce((sum, value, from) => sum + data[offset + from * outputs + to] * value, 0),
  );
/** μ·x_t + (1 − μ)·x_{t−1}. */
const between = (t: number, { data }: Tensor64): number[] =>
  row(t).map((value, c) => data[c] * value + (1 - data[c]) * row(t - 1)[c]);

/** O·(norm of heads(o)⊙silu(G·g)) for o of the matrix states of RWKV-5 and 6. */
function matrixStates(
  weights: Record<"time_faaaa" | "ln_x.weight" | "ln_x.bias" | "output.weight", Tensor64>,
  parts: (t: number) => Readonly<Record<"r" | "k" | "v" | "g" | "w", readonly number[]>>,
): number[] {
  const state = Array.from({ length: channels }, () => Array.from({ length: width }, () => 0));
  return Array.from({ length: tokens }, (_, t) => {
    const { r, k, v, g, w } = parts(t);
    const out = [...zeros];
    for (let c = 0; c < channels; c++) {
      const head = Math.floor(c / width) * width;
      for (let e = 0; e < width; e++) {
        const written = k[c] * v[head + e];
        out[head + e] += r[c] * (state[c][e] + weights.time_faaaa.data[c] * written);
        state[c][e] = w[c] * state[c][e] + written;
      }
    }
    const normed = out.map((value, c) => {
      const own = out.slice(Math.floor(c / width) * width, (Math.floor(c / width) + 1) * width);
      const mean = own.reduce((sum, y) => sum + y, 0) / width;
      const variance = own.reduce((sum, y) => sum + (y - mean) ** 2, 0) / width;
      const scaled = (value - mean) / 8 / Math.sqrt(variance / 64 + 1e-5);
      return (scaled * weights["ln_x.weight"].data[c] + weights["ln_x.bias"].data[c]) * g[c] * sigmoid(g[c]);
    });
    return project(weights["output.weight"], normed);
  }).flat();
}

const expected = {
  four: (): number[] => {
    const keys = Array.from({ length: tokens }, (_, t) =>
      project(four["key.weight"], between(t, four.time_mix_k)),
    );
    const values = keys.map((_, t) => project(four["value.weight"], between(t, four.time_mix_v)));
    return keys.flatMap((key, t) => {
      const receptance = project(four["receptance.weight"], between(t, four.time_mix_r));
      const mixed = key.map((own, c) => {
        const bonus = Math.exp(four.time_first.data[c] + own);
        let [numerator, denominator] = [bonus * values[t][c], bonus];
        for (let i = 0; i < t; i++) {
          const weight = Math.exp(keys[i][c] - (t - 1 - i) * Math.exp(four.time_decay.data[c]));
          numerator += weight * values[i][c];
          denominator += weight;
        }
        return (sigmoid(receptance[c]) * numerator) / denominator;
      });
      return project(four["output.weight"], mixed);
    });
  },
  five: (): number[] =>
    matrixStates(five, (t) => ({
      r: project(five["receptance.weight"], between(t, five.time_mix_r)),
      k: project(five["key.weight"], between(t, five.time_mix_k)),
      v: project(five["value.weight"], between(t, five.time_mix_v)),
      g: project(five["gate.weight"], between(t, five.time_mix_g)),
      w: [...five.time_decay.data].map((rate) => Math.exp(-Math.exp(rate))),
    })),
  six: (): number[] =>
    matrixStates(six, (t) => {
      const [own, difference] = [row(t), row(t).map((value, c) => row(t - 1)[c] - value)];
      const first = own.map((value, c) => value + difference[c] * six.time_maa_x.data[c]);
      const hidden = times(first, six.time_maa_w1, 5 * rank).map(Math.tanh);
      const shared = (index: number, { data }: Tensor64): number[] => {
        const part = hidden.slice(index * rank, (index + 1) * rank);
        const chosen = times(part, six.time_maa_w2, channels, index * rank * channels);
        return own.map((value, c) => value + difference[c] * (data[c] + chosen[c]));
      };
      const low = times(shared(0, six.time_maa_w), six.time_decay_w1, rank).map(Math.tanh);
      const rates = times(low, six.time_decay_w2, channels);
      return {
        r: project(six["receptance.weight"], shared(3, six.time_maa_r)),
        k: project(six["key.weight"], shared(1, six.time_maa_k)),
        v: project(six["value.weight"], shared(2, six.time_maa_v)),
        g: project(six["gate.weight"], shared(4, six.time_maa_g)),
        w: rates.map((rate, c) => Math.exp(-Math.exp(rate + six.time_decay.data[c]))),
      };
    }),
  channel: (): number[] =>
    Array.from({ length: tokens }, (_, t) => {
      const hidden = project(mixing["key.weight"], between(t, mixing.time_mix_k));
      const open = project(mixing["receptance.weight"], between(t, mixing.time_mix_r));
      const squared = hidden.map((value) => Math.max(value, 0) ** 2);
      return project(mixing["value.weight"], squared).map((value, c) => sigmoid(open[c]) * value);
    }).flat(),
};

function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>): void {
  expect(found.length).toBe(wanted.length);
  for (let place = 0; place < found.length; place++) {
    const allowed = rounding * Math.max(1, Math.abs(wanted[place]));
    expect(Math.abs(found[place] - wanted[place])).toBeLessThan(allowed);
  }
}

const blocks = {
  four: (rows: Tensor64, state?: TimeMixState) => rwkv4TimeMix(four, rows, state),
  five: (rows: Tensor64, state?: TimeMixState) => rwkv5TimeMix(five, rows, state),
  six: (rows: Tensor64, state?: TimeMixState) => rwkv6TimeMix(six, rows, state),
};
const ofToken = (t: number): Tensor64 => {
  const rows = [0, 1].map((entry) => row(entry * tokens + t));
  return tensor64(rows.flat(), [batch, 1, channels]);
};
const atToken = ({ data }: Tensor64, t: number): number[] =>
  [0, 1].flatMap((entry) => {
    const start = (entry * tokens + t) * channels;
    return [...data.subarray(start, start + channels)];
  });

describe.each(["four", "five", "six"] as const)("the time mix of RWKV-%s", (version) => {
  it("is its formula", () => {
    const { out } = blocks[version](x);
    expectClose(out.data.subarray(0, tokens * channels), expected[version]());
  });

  it("goes on token by token in the memory of one state", () => {
    const whole = blocks[version](x);
    let state: TimeMixState | undefined;
    for (let t = 0; t < tokens; t++) {
      const step = blocks[version](ofToken(t), state);
      expectClose(step.out.data, atToken(whole.out, t));
      ({ state } = step);
    }
    expectClose(state!.matrix.data, whole.state.matrix.data);
    expect(state!.previous.data).toEqual(whole.state.previous.data);
  });

  it("refuses weights of another width", () => {
    expect(() => blocks[version](draw(1, 3, channels + 1))).toThrow(
      expect.objectContaining({ code: "rwkv-shape" }),
    );
  });
});

describe("the channel mix of RWKV-4 to 6", () => {
  it("is its formula, and goes on token by token", () => {
    const whole = rwkvGatedChannelMix(mixing, x);
    expectClose(whole.out.data.subarray(0, tokens * channels), expected.channel());
    let previous: Tensor64 | undefined;
    for (let t = 0; t < tokens; t++) {
      const step = rwkvGatedChannelMix(mixing, ofToken(t), previous);
      expectClose(step.out.data, atToken(whole.out, t));
      ({ previous } = step);
    }
  });
});
