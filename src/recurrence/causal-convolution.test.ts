import { describe, expect, it } from "vitest";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor64, tensor64 } from "../base/tensor.ts";
import {
  causalConvolution,
  causalConvolutionBackward,
  type CausalConvolutionInputs,
} from "./causal-convolution.ts";

const stream = random("causal convolution");
const draw = (...shape: readonly number[]): Tensor64 =>
  tensor64(
    Float64Array.from({ length: sizeOf(shape) }, () => stream.normal()),
    shape,
  );

/** The fourth-order stencil with step 1e-3 truncates at 1e-12, and rounds at 1e-12. */
const differenceError = 1e-9;

const inputs = { x: draw(2, 3, 7), weight: draw(3, 1, 4), bias: draw(3), state: draw(2, 3, 3) };
const dot = (a: Tensor64, b: Tensor64): number =>
  a.data.reduce((sum, value, at) => sum + value * b.data[at], 0);

/** Tokens [start, stop) of [B, C, N]. */
const cut = ({ data, shape: [batch, channels, tokens] }: Tensor64, start: number, stop: number): Tensor64 =>
  tensor64(
    data.filter((_, at) => at % tokens >= start && at % tokens < stop),
    [batch, channels, stop - start],
  );

describe.each(["none", "silu"] as const)("the causal convolution with activation %s", (activation) => {
  const options = { activation };

  it("goes on from its state to the bit, in pieces shorter than its kernel too", () => {
    const whole = causalConvolution(inputs, options);
    let { state } = inputs;
    for (const [start, stop] of [
      [0, 1],
      [1, 3],
      [3, 7],
    ] as const) {
      const piece = causalConvolution({ ...inputs, x: cut(inputs.x, start, stop), state }, options);
      expect(piece.out.data).toEqual(cut(whole.out, start, stop).data);
      ({ state } = piece);
    }
    expect(state.data).toEqual(whole.state.data);
  });

  it("has the gradients of central differences", () => {
    const [dOut, dState] = [draw(2, 3, 7), draw(2, 3, 3)];
    const gradients = causalConvolutionBackward(inputs, { dOut, dState }, options);
    const loss = (call: CausalConvolutionInputs): number => {
      const { out, state } = causalConvolution(call, options);
      return dot(out, dOut) + dot(state, dState);
    };
    const names = { x: "dx", weight: "dWeight", bias: "dBias", state: "dState" } as const;
    for (const name of Object.keys(names) as (keyof typeof names)[]) {
      const direction = draw(...inputs[name].shape);
      const at = (step: number): number =>
        loss({
          ...inputs,
          [name]: {
            ...inputs[name],
            data: inputs[name].data.map((x, place) => x + step * direction.data[place]),
          },
        });
      const h = 1e-3;
      const estimate = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      const derivative = dot(gradients[names[name]], direction);
      const error = Math.abs(estimate - derivative) / (1 + Math.abs(derivative));
      expect(error, `by ${name}`).toBeLessThan(differenceError);
    }
  });

  it("is the sum over the last K inputs", () => {
    const { out } = causalConvolution(inputs, options);
    const [row, channel, t] = [4, 1, 5];
    const sum = [0, 1, 2, 3].reduce(
      (total, s) => total + inputs.weight.data[channel * 4 + s] * inputs.x.data[row * 7 + t - 3 + s],
      inputs.bias.data[channel],
    );
    const expected = activation === "silu" ? sum / (1 + Math.exp(-sum)) : sum;
    expect(Math.abs(out.data[row * 7 + t] - expected)).toBeLessThan(1e-14);
  });
});

describe("the causal convolution", () => {
  it("of one number a channel has no state", () => {
    const { out, state } = causalConvolution({ x: inputs.x, weight: tensor64([2, 2, 2], [3, 1, 1]) });
    expect(out.data).toEqual(inputs.x.data.map((x) => 2 * x));
    expect(state.shape).toEqual([2, 3, 0]);
  });

  it.each([
    ["another layout", { ...inputs, x: draw(2, 21) }, "recurrence-shape"],
    ["other channels", { ...inputs, weight: draw(2, 1, 4) }, "recurrence-shape"],
    ["a longer state", { ...inputs, state: draw(2, 3, 4) }, "recurrence-shape"],
    ["a short bias", { ...inputs, bias: { data: new Float64Array(2), shape: [3] } }, "tensor-size"],
    ["NaN", { ...inputs, bias: tensor64([0, NaN, 0], [3]) }, "not-finite"],
  ])("refuses %s", (_, call, code) => {
    expect(() => causalConvolution(call)).toThrow(expect.objectContaining({ code }));
  });
});
