/** @file Steps of a recurrent state are the tokens of the chunked form, from any state and on any number of threads. */
import { afterAll, describe, expect, test } from "vitest";
import { narrow, type Tensor, type Tensor64 } from "../../../base/tensor.ts";
import { cores, randomCall } from "../../../recurrence/core-fixtures.ts";
import { coreForward } from "../../../recurrence/index.ts";
import { type CoreInputs } from "../../../recurrence/core.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { type TokenInputs, wasmRecurrence } from "./recurrent-state.ts";

/** Sums of dozens of products in float32, 2⁻²⁴ each, carried over as many tokens. */
const TOLERANCE = 2e-5;

const [one, two] = [nodeEngine({ threads: 1 }), nodeEngine({ threads: 2 })];
afterAll(() => {
  for (const engine of [one, two]) engine.close();
});

const call = (name: string, sizes: Parameters<typeof randomCall>[2]): CoreInputs<Tensor> =>
  Object.fromEntries(
    Object.entries(randomCall(cores[name], name, sizes)).map(([key, value]) => [
      key,
      narrow(value as Tensor64),
    ]),
  ) as unknown as CoreInputs<Tensor>;

/** Tokens [start, stop) of a call. */
function tokensOf(inputs: CoreInputs<Tensor>, start: number, stop: number): TokenInputs {
  return Object.fromEntries(
    (Object.entries(inputs) as [string, Tensor][]).flatMap(([name, value]) => {
      if (name === "state") return [];
      if (name === "u") return [[name, value]];
      const [batch, heads, tokens, width = 1] = value.shape;
      const data = new Float32Array(batch * heads * (stop - start) * width);
      for (let row = 0; row < batch * heads; row++) {
        const from = (row * tokens + start) * width;
        data.set(value.data.subarray(from, from + (stop - start) * width), row * (stop - start) * width);
      }
      return [[name, { data, shape: [batch, heads, stop - start, ...value.shape.slice(3)] }]];
    }),
  ) as unknown as TokenInputs;
}

function expectClose(expected: ArrayLike<number>, found: Float32Array): void {
  const numbers = Array.from(expected);
  const largest = Math.max(1, ...numbers.map(Math.abs));
  const worst = Math.max(...numbers.map((value, place) => Math.abs(value - found[place])));
  expect(worst / largest).toBeLessThanOrEqual(TOLERANCE);
}

test.each(Object.keys(cores))("steps of %s are the reference's tokens", (name) => {
  const core = cores[name];
  const sizes = { batch: 2, heads: 2, keyHeads: 1, tokens: 20, width: 5, valueWidth: 9 };
  const inputs = call(name, sizes);
  const expected = coreForward(core, inputs);
  const state = wasmRecurrence(one, core, sizes);
  one.arena.poison();
  state.reset(inputs.state);
  const { sizeBytes } = state;
  const arenaBytes = one.arena.sizeBytes;
  const outs = Array.from({ length: 20 }, (_, token) => state.step(tokensOf(inputs, token, token + 1)).data);
  const places = Array.from({ length: 4 * 20 * 9 }, (_, at) => {
    const [head, token, e] = [Math.floor(at / 180), Math.floor(at / 9) % 20, at % 9];
    return outs[token][head * 9 + e];
  });
  expectClose(expected.out.data, Float32Array.from(places));
  expectClose(expected.state.data, state.state.data);
  expect([state.length, state.sizeBytes, one.arena.sizeBytes]).toEqual([20, sizeBytes, arenaBytes]);
  state.dispose();
});

describe("a state", () => {
  const name = "channel correction after raw";
  const core = cores[name];

  test("takes a prefix at once and goes on from it", () => {
    const sizes = { heads: 2, tokens: 70, width: 8, valueWidth: 8 };
    const { state: _, ...inputs } = call(name, sizes);
    const expected = coreForward(core, inputs);
    const state = wasmRecurrence(one, core, sizes);
    state.step(tokensOf(inputs, 0, 69));
    const last = state.step(tokensOf(inputs, 69, 70));
    expect([state.length, last.shape]).toEqual([70, [1, 2, 1, 8]]);
    expectClose([...expected.out.data.slice(69 * 8, 70 * 8), ...expected.out.data.slice(139 * 8)], last.data);
    state.reset();
    expect(state.state.data.every((value) => value === 0)).toBe(true);
    state.dispose();
  });

  test("of many numbers steps on two threads with the bits of one", () => {
    const sizes = { batch: 3, heads: 3, tokens: 3, width: 128, valueWidth: 128 };
    const inputs = call("head sum after raw", sizes);
    const [a, b] = [one, two].map((engine) => {
      const state = wasmRecurrence(engine, cores["head sum after raw"], sizes);
      const outs = [0, 1, 2].map((token) => state.step(tokensOf(inputs, token, token + 1)));
      const last = state.state;
      state.dispose();
      return { outs, last };
    });
    expect(b).toEqual(a);
  });

  test("refuses what does not fit, and everything after its end", () => {
    const state = wasmRecurrence(one, core, { heads: 2, width: 8 });
    const inputs = call(name, { heads: 2, tokens: 1, width: 8, valueWidth: 8 });
    expect(() => state.step(tokensOf(call(name, { heads: 1, tokens: 1, width: 8 }), 0, 1))).toThrow(
      "q must be [1, 2, 1, 8]",
    );
    const wide = call(name, { heads: 2, tokens: 1, width: 8, valueWidth: 9 });
    expect(() => state.step(tokensOf(wide, 0, 1))).toThrow("v must be [1, 2, 1, 8]");
    expect(() => state.reset(inputs.q)).toThrow("state must be [1, 2, 8, 8]");
    state.dispose();
    state.dispose();
    expect(state.sizeBytes).toBe(0);
    expect(() => state.step(tokensOf(inputs, 0, 1))).toThrow("it was disposed");
    expect(() => wasmRecurrence(one, core, { heads: 0, width: 8 })).toThrow(
      "heads must be a whole number above 0: 0",
    );
  });
});
