/** @file The core's three forms agree, its gradients are those of central differences, and the future never leaks. */
import { describe, expect, it } from "vitest";
import { random } from "../base/random.ts";
import { type Tensor64, tensor64, zeros64 } from "../base/tensor.ts";
import { cores, randomCall } from "./core-fixtures.ts";
import { coreBackward, coreForward, type Form } from "./core-reference.ts";
import { type Core, type CoreInputs } from "./core.ts";

/** Forms differ in the order of sums: some hundred f64 roundings of numbers of size 1 to 100. */
const orderOfSums = 1e-10;

/** The fourth-order stencil with step 1e-3 truncates at 1e-12 times the fifth derivative, and rounds at 1e-12. */
const differenceError = 1e-7;

function largestDifference(a: Tensor64, b: Tensor64): number {
  expect(a.shape).toEqual(b.shape);
  return a.data.reduce((largest, value, place) => {
    const scale = Math.max(1, Math.abs(value));
    return Math.max(largest, Math.abs(value - b.data[place]) / scale);
  }, 0);
}

const named = Object.entries(cores);

describe("the three forms of the core", () => {
  it.each(named)("agree on every N and chunk: %s", (name, core) => {
    for (const tokens of [1, 3, 17, 63, 64, 65, 100]) {
      const call = randomCall(core, `${name} ${tokens}`, {
        tokens,
        heads: 2,
        keyHeads: 1,
        width: 5,
        valueWidth: 3,
      });
      const expected = coreForward(core, call);
      const forms: readonly Form[] = ["parallel", { chunk: 1 }, { chunk: 7 }, { chunk: 32 }, { chunk: 256 }];
      for (const form of forms) {
        const found = coreForward(core, call, form);
        expect(largestDifference(expected.out, found.out)).toBeLessThan(orderOfSums);
        expect(largestDifference(expected.state, found.state)).toBeLessThan(orderOfSums);
      }
    }
  });

  it("agree where a channel forgets everything at once", () => {
    const core: Core = { decay: "channel", correction: true, read: "after", normalised: false, epsilon: 0 };
    const call = randomCall(core, "forgets", { tokens: 40 });
    const logDecay = {
      ...call.logDecay!,
      data: call.logDecay!.data.map((log, at) => (at % 7 === 0 ? -1e8 : log)),
    };
    const expected = coreForward(core, { ...call, logDecay });
    for (const form of ["parallel", { chunk: 16 }] as const) {
      const found = coreForward(core, { ...call, logDecay }, form);
      expect(largestDifference(expected.out, found.out)).toBeLessThan(orderOfSums);
    }
  });

  it("go on from a returned state as if the tokens had come together, to the bit when recurrent", () => {
    for (const [name, core] of named) {
      const call = randomCall(core, `split ${name}`, { tokens: 9, heads: 2, width: 4 });
      const whole = coreForward(core, call);
      const first = coreForward(core, tokenRange(call, 0, 4));
      const second = coreForward(core, { ...tokenRange(call, 4, 9), state: first.state });
      expect(second.state.data).toEqual(whole.state.data);
    }
  });
});

describe("causality of the core", () => {
  it.each(named)("later tokens leave earlier outputs alone, to the bit: %s", (name, core) => {
    const call = randomCall(core, name, { tokens: 40, width: 4 });
    const other = randomCall(core, `${name} changed`, { tokens: 40, width: 4 });
    const split = 23;
    const mixed = Object.fromEntries(
      Object.entries(call).map(([key, tensor]: [string, Tensor64]) => {
        if (key === "u" || key === "state") return [key, tensor];
        const replacement = other[key as keyof CoreInputs]!;
        const row = tensor.data.length / 40;
        return [
          key,
          { ...tensor, data: tensor.data.map((x, at) => (at < split * row ? x : replacement.data[at])) },
        ];
      }),
    ) as unknown as CoreInputs<Tensor64>;
    for (const form of ["recurrent", "parallel", { chunk: 16 }] as const) {
      const [a, b] = [call, mixed].map((inputs) => coreForward(core, inputs, form).out);
      const kept = split * a.shape[3];
      expect(a.data.subarray(0, kept)).toEqual(b.data.subarray(0, kept));
      expect(a.data.subarray(kept)).not.toEqual(b.data.subarray(kept));
    }
  });
});

describe("gradients of the core", () => {
  it.each(named)("are those of central differences, by every input: %s", (name, core) => {
    for (const tokens of [1, 5]) {
      const call = randomCall(core, `gradient ${name}`, { tokens, batch: 2, heads: 2, keyHeads: 1 });
      expectGradients(core, call, `${name} ${tokens}`);
    }
  });

  it("are added up where decays are shared by tokens", () => {
    const static_ = { ...cores["head correction after raw"] };
    const call = randomCall(static_, "static", { tokens: 4, heads: 2 });
    expectGradients(static_, { ...call, logDecay: tensor64([-0.1, -0.7], [2]) }, "static head");
    const channels = cores["channel sum bonus raw"];
    const other = randomCall(channels, "static", { tokens: 4, heads: 2 });
    const logDecay = tensor64([-0.1, -0.7, -2, -0.3, -0.01, -1], [2, 3]);
    expectGradients(channels, { ...other, logDecay }, "static channel");
  });

  it("hold across the segments in which they are computed", () => {
    const core = cores["channel correction bonus raw"];
    expectGradients(core, randomCall(core, "long", { tokens: 67, width: 2 }), "long", 2);
  });
});

/** Along random directions of every input. */
function expectGradients(core: Core, call: CoreInputs<Tensor64>, seed: string, directions = 3): void {
  const stream = random("directions", seed);
  const like = ({ shape, data }: Tensor64): Tensor64 =>
    tensor64(
      Float64Array.from(data, () => stream.normal()),
      shape,
    );
  const { out, state } = coreForward(core, call);
  const cotangents = { out: like(out), state: like(state) };
  const gradients = coreBackward(core, call, cotangents);
  const loss = (inputs: CoreInputs): number => {
    const result = coreForward(core, inputs);
    return dot(result.out, cotangents.out) + dot(result.state, cotangents.state);
  };
  for (const [name, tensor] of Object.entries(call) as [keyof CoreInputs, Tensor64][]) {
    for (let count = 0; count < directions; count++) {
      const direction = like(tensor);
      const at = (step: number): number =>
        loss({
          ...call,
          [name]: { ...tensor, data: tensor.data.map((x, place) => x + step * direction.data[place]) },
        });
      const h = 1e-3;
      const estimate = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      const derivative = dot(gradients[name]!, direction);
      const size = Math.hypot(...gradients[name]!.data) + 1;
      expect(Math.abs(estimate - derivative) / size, `by ${name}`).toBeLessThan(differenceError);
    }
  }
}

function dot(a: Tensor64, b: Tensor64): number {
  return a.data.reduce((sum, value, place) => sum + value * b.data[place], 0);
}

/** Tokens [start, stop) of a call with one batch entry and decays of tokens. */
function tokenRange(call: CoreInputs<Tensor64>, start: number, stop: number): CoreInputs<Tensor64> {
  return Object.fromEntries(
    Object.entries(call).map(([name, tensor]: [string, Tensor64]) => {
      if (name === "u" || name === "state") return [name, tensor];
      const [batch, heads, tokens, width = 1] = tensor.shape;
      const cut = zeros64([batch, heads, stop - start, ...tensor.shape.slice(3)]);
      for (let row = 0; row < batch * heads; row++) {
        const from = (row * tokens + start) * width;
        cut.data.set(tensor.data.subarray(from, from + (stop - start) * width), row * (stop - start) * width);
      }
      return [name, cut];
    }),
  ) as unknown as CoreInputs<Tensor64>;
}
