/**
 * @file Channels on fused kernels against the f64 reference: outputs, last state and gradients at odd sizes, on one thread and
 * on two, on memory full of NaN; causality to the bit; keys and decays of any size; steps that are the tokens.
 */
import { afterAll, describe, expect, test } from "vitest";
import { random } from "../../../base/random.ts";
import { type Tensor, type Tensor64, tensor64 } from "../../../base/tensor.ts";
import { checkCall } from "../../../recurrence/check-call.ts";
import { parseRecurrence } from "../../../recurrence/index.ts";
import { type ChannelInputs } from "../../../recurrence/rwkv4-channel.ts";
import { hasRelaxedSimd, type WasmEngine } from "../engine/engine.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { wasmChannels } from "./channel-state.ts";
import { fusedChannels, fusedChannelsBackward } from "./fused-channels.ts";

/** Weighted means of dozens of float32 numbers whose weights are known to some 2⁻²². */
const TOLERANCE = 2e-5;

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  ...(hasRelaxedSimd() ? [nodeEngine({ threads: 1 })] : []),
  nodeEngine({ threads: 2 }),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});
const [one, two] = engines.slice(-2);
const composition = parseRecurrence("rwkv4");
const { rule } = composition;

interface Sizes {
  readonly batch?: number;
  readonly heads?: number;
  readonly tokens: number;
  readonly width: number;
}

/** Inputs in float32; `scale` is the size of keys and bonuses, `rates` the decays' logarithms. */
function inputsOf(
  seed: string,
  { batch = 2, heads = 2, tokens, width }: Sizes,
  { scale = 2, rate = (x: number): number => -3 * x, first = true } = {},
): ChannelInputs<Tensor> {
  const stream = random("channels", seed);
  const normals = (shape: number[], factor: number): Tensor => ({
    data: stream.normals(
      shape.reduce((a, b) => a * b, 1),
      factor,
    ),
    shape,
  });
  const rows = [batch, heads, tokens, width];
  const state = Float64Array.from({ length: batch * heads * width * 3 }, (_, place) =>
    place % 3 === 1 ? 0.5 + stream.uniform() : scale * stream.normal(),
  );
  return {
    k: normals(rows, scale),
    v: normals(rows, 1),
    logDecay: {
      data: Float32Array.from({ length: heads * width }, () => rate(stream.uniform())),
      shape: [heads, width],
    },
    u: normals([heads, width], scale),
    ...(first ? { state: tensor64(state, [batch, heads, width, 3]) } : {}),
  };
}

const callOf = ({ k, v, logDecay, u, state }: ChannelInputs<Tensor>) =>
  checkCall(composition, {
    k,
    v,
    logDecay,
    u,
    ...(state === undefined ? {} : { state }),
  });

function expectClose(what: string, expected: Tensor64, found: Tensor | Tensor64): void {
  expect([what, found.shape]).toEqual([what, expected.shape]);
  const largest = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  const worst = expected.data.reduce((most, value, place) => {
    const error = Math.abs(value - found.data[place]);
    return error <= most ? most : error;
  }, 0);
  expect([what, worst / largest <= TOLERANCE ? "close" : worst / largest]).toEqual([what, "close"]);
}

/** States of one scale, as two forms may name the same state by different ones. */
const atScale = ({ data, shape }: Tensor64, like: Tensor64): Tensor64 =>
  tensor64(
    data.map((value, place) => {
      const row = place - (place % 3);
      return place % 3 === 2 ? like.data[place] : value * Math.exp(data[row + 2] - like.data[row + 2]);
    }),
    shape,
  );

function expectReference(inputs: ChannelInputs<Tensor>): void {
  const call = callOf(inputs);
  const expected = rule.forward(call, "recurrent");
  const stream = random("channels", "cotangents");
  const like = ({ data, shape }: Tensor64): Tensor => ({ data: stream.normals(data.length), shape });
  const [dOut, dState] = [like(expected.out), like(expected.state)];
  const wide = ({ data, shape }: Tensor): Tensor64 => tensor64(data, shape);
  const wanted = rule.backward(call, { out: wide(dOut), state: wide(dState) }).inputs;
  for (const engine of engines) {
    engine.arena.poison();
    const { out, state, saved } = fusedChannels(engine, inputs, { saves: true });
    const plain = fusedChannels(engine, inputs);
    expect([plain.out, plain.state]).toEqual([out, state]);
    expectClose("out", expected.out, out);
    expectClose("state", expected.state, atScale(state, expected.state));
    engine.arena.poison();
    const found = fusedChannelsBackward(engine, saved!, { out: dOut, state: wide(dState) });
    expect(Object.keys(found).sort()).toEqual(Object.keys(wanted).sort());
    for (const [name, gradient] of Object.entries(found) as [keyof ChannelInputs, Tensor64][]) {
      expectClose(`d${name}`, wanted[name]!, gradient);
    }
  }
}

test.each([
  [1, 1],
  [3, 3],
  [17, 8],
  [63, 3],
  [64, 16],
  [65, 33],
  [100, 8],
])("%d tokens of %d channels are the reference's", (tokens, width) => {
  expectReference(inputsOf("odd", { tokens, width }));
  expectReference(inputsOf("empty", { tokens, width, batch: 1, heads: 1 }, { first: false }));
});

describe("of any size", () => {
  test.each([
    ["keys of a hundred", 100, (x: number) => -3 * x],
    ["keys that are all alike", 0, (x: number) => -3 * x],
    ["decays that leave nothing", 2, () => -1e30],
    ["decays that leave nearly all", 2, () => -1e-6],
    ["no decay", 2, () => 0],
  ])("%s", (_, scale, rate) =>
    expectReference(inputsOf("sizes", { tokens: 100, width: 8 }, { scale, rate })),
  );

  test("keys of ten thousand, of which the largest decides", () => {
    const inputs = inputsOf("huge", { tokens: 70, width: 8 }, { scale: 1e4 });
    const expected = rule.forward(callOf(inputs), "recurrent");
    expectClose("out", expected.out, fusedChannels(one, inputs).out);
  });

  test("a state of zeros holds nothing, and gets no gradient", () => {
    const { state, ...inputs } = inputsOf("zeros", { tokens: 20, width: 8 });
    const zeros = tensor64(new Float64Array(state!.data.length), state!.shape);
    const { out, saved } = fusedChannels(one, { ...inputs, state: zeros }, { saves: true });
    expect(out).toEqual(fusedChannels(one, inputs).out);
    const gradients = fusedChannelsBackward(one, saved!, { out });
    expect(gradients.state!.data.every((value) => value === 0)).toBe(true);
  });
});

test("two threads give the bits of one", () => {
  const inputs = inputsOf("threads", { tokens: 130, width: 33 });
  const [a, b] = [one, two].map((engine: WasmEngine) => {
    const { out, state, saved } = fusedChannels(engine, inputs, { saves: true });
    return { out, state, gradients: fusedChannelsBackward(engine, saved!, { out, state }) };
  });
  expect(b).toEqual(a);
});

test("later tokens leave earlier outputs alone, to the bit", () => {
  const sizes = { batch: 1, heads: 1, tokens: 100, width: 8 };
  const inputs = inputsOf("before", sizes);
  const kept = 75 * 8;
  const changed = (name: "k" | "v"): Tensor => {
    const { data, shape } = inputs[name];
    return { data: data.map((x, place) => (place < kept ? x : x + 3)), shape };
  };
  const [a, b] = [inputs, { ...inputs, k: changed("k"), v: changed("v") }].map(
    (given) => fusedChannels(one, given).out.data,
  );
  expect(b.subarray(0, kept)).toEqual(a.subarray(0, kept));
  expect(b.subarray(kept)).not.toEqual(a.subarray(kept));
});

describe("a state in an engine", () => {
  const sizes = { batch: 2, heads: 2, tokens: 20, width: 5 };
  const inputs = inputsOf("steps", sizes);
  const { k, v, logDecay, u } = inputs;
  const cut = ({ data, shape }: Tensor, start: number, stop: number): Tensor => ({
    data: Float32Array.from({ length: 4 * (stop - start) * 5 }, (_, at) => {
      const [head, rest] = [Math.floor(at / ((stop - start) * 5)), at % ((stop - start) * 5)];
      return data[(head * 20 + start) * 5 + rest];
    }),
    shape: [shape[0], shape[1], stop - start, shape[3]],
  });
  const tokens = (start: number, stop: number) => ({
    k: cut(k, start, stop),
    v: cut(v, start, stop),
    logDecay,
    u,
  });

  test.each([engines[0], two])("steps to the bits of the whole call, in memory that stays", (engine) => {
    const whole = fusedChannels(engine, inputs);
    const state = wasmChannels(engine, sizes);
    expect(state.state.data.every((value) => value === 0)).toBe(true);
    engine.arena.poison();
    state.reset(inputs.state);
    const { sizeBytes } = state;
    for (let token = 0; token < 12; token++) {
      expect(state.step(tokens(token, token + 1))).toEqual(cut(whole.out, token, token + 1));
    }
    const arenaBytes = engine.arena.sizeBytes;
    // A state that is read and set again names the same numbers by another scale.
    state.step(tokens(12, 19));
    const last = state.step(tokens(19, 20));
    expectClose("out", tensor64(cut(whole.out, 19, 20).data, [2, 2, 1, 5]), last);
    expectClose("state", whole.state, atScale(state.state, whole.state));
    expect([state.length, state.sizeBytes, engine.arena.sizeBytes]).toEqual([20, sizeBytes, arenaBytes]);
    state.dispose();
  });

  test("refuses what does not fit, and everything after its end", () => {
    const state = wasmChannels(one, sizes);
    expect(() => state.step({ ...tokens(0, 1), v: k })).toThrow("v must be [2, 2, 1, 5]");
    expect(() => state.step({ ...tokens(0, 1), u: k })).toThrow("u must be [2, 5]");
    const growing = { ...logDecay, data: logDecay.data.map(() => 0.5) };
    expect(() => state.step({ ...tokens(0, 1), logDecay: growing })).toThrow("must not be above zero: 0.5");
    expect(() => state.reset(tensor64([0], [1]))).toThrow("state must be [2, 2, 5, 3]");
    state.dispose();
    state.dispose();
    expect(state.sizeBytes).toBe(0);
    expect(() => state.step(tokens(0, 1))).toThrow("it was disposed");
    expect(() => wasmChannels(one, { heads: 0, width: 8 })).toThrow(
      "heads must be a whole number above 0: 0",
    );
  });
});
