/** @file What every rule keeps: forms agree, gradients are central differences, the past does not see the future. */
import { describe, expect, it } from "vitest";
import { random } from "../base/random.ts";
import { type Tensor64, tensor64 } from "../base/tensor.ts";
import { gradientName, recurrenceBackward, recurrenceForward } from "./backend.ts";
import { type RecurrenceInputs } from "./check-call.ts";
import { printRecurrence, type RecurrenceComposition } from "./composition.ts";
import { randomInputs, ruleSelectors, sliceTokens, tokensOfInputs } from "./rule-fixtures.ts";
import { type InputName } from "./rule.ts";
import { parseRecurrence } from "./selector.ts";

/** Forms differ in the order of sums: some hundred f64 roundings of numbers of size 1 to 100. */
const orderOfSums = 1e-10;

/** The fourth-order stencil with step 1e-3 truncates at 1e-12 times the fifth derivative, of size 1e3 at most here. */
const differenceError = 1e-7;

function largestDifference(a: Tensor64, b: Tensor64): number {
  expect(a.shape).toEqual(b.shape);
  return a.data.reduce((largest, value, place) => {
    const scale = Math.max(1, Math.abs(value));
    return Math.max(largest, Math.abs(value - b.data[place]) / scale);
  }, 0);
}

describe.each(ruleSelectors)("%s", (selector) => {
  const composition = parseRecurrence(selector);

  it("has three forms that agree, on sizes that a chunk divides and others", () => {
    for (const tokens of [1, 3, 17, 64, 65]) {
      const inputs = randomInputs(composition, `forms ${tokens}`, { tokens, keyHeads: 1 });
      const expected = recurrenceForward(composition, inputs, "recurrent");
      for (const form of ["parallel", { chunk: 13 }, { chunk: 64 }] as const) {
        const found = recurrenceForward(composition, inputs, form);
        expect(largestDifference(expected.out, found.out)).toBeLessThan(orderOfSums);
        expect(largestDifference(expected.state, found.state)).toBeLessThan(orderOfSums);
      }
    }
  });

  it("starts from nothing when no state is given", () => {
    const inputs = randomInputs(composition, "nothing", { tokens: 20 }, ["state"]);
    const expected = recurrenceForward(composition, inputs, "recurrent");
    for (const form of ["parallel", { chunk: 6 }] as const) {
      const found = recurrenceForward(composition, inputs, form);
      expect(largestDifference(expected.out, found.out)).toBeLessThan(orderOfSums);
    }
  });

  it("has the gradients of central differences by every input, from outputs and from the last state", () => {
    for (const tokens of [1, 6]) {
      const inputs = randomInputs(composition, `gradients ${tokens}`, { tokens, batch: 2, keyHeads: 1 });
      expectGradients(composition, inputs, `${selector} ${tokens}`);
    }
    expectGradients(composition, randomInputs(composition, "stateless", { tokens: 5 }, ["state"]), selector);
  });

  it("does not see the future, to the bit", () => {
    const tokens = 24;
    const split = 11;
    const inputs = randomInputs(composition, "past", { tokens });
    const others = randomInputs(composition, "other future", { tokens });
    const mixed = Object.fromEntries(
      Object.entries(inputs).map(([name, tensor]) => {
        const input = composition.rule.inputs.find((taken) => taken.name === name);
        if (input?.extents.includes("N") !== true) return [name, tensor];
        const later = (others as unknown as Record<string, Tensor64>)[name];
        const row = tensor.data.length / (2 * tokens);
        return [
          name,
          {
            ...tensor,
            // Large keys would show where a maximum were taken over all of them.
            data: tensor.data.map((x: number, at: number) =>
              Math.floor(at / row) % tokens < split ? x : later.data[at] * (input.domain === "real" ? 30 : 1),
            ),
          },
        ];
      }),
    ) as unknown as RecurrenceInputs<Tensor64>;
    for (const form of ["recurrent", "parallel", { chunk: 8 }] as const) {
      const [a, b] = [inputs, mixed].map((call) => recurrenceForward(composition, call, form).out);
      expect(sliceTokens(a, 0, split).data).toEqual(sliceTokens(b, 0, split).data);
      expect(sliceTokens(a, split, tokens).data).not.toEqual(sliceTokens(b, split, tokens).data);
    }
  });

  it("goes on from its state to the bit, token by token", () => {
    const inputs = randomInputs(composition, "steps", { tokens: 7 });
    const whole = recurrenceForward(composition, inputs, "recurrent");
    let { state } = inputs;
    for (let t = 0; t < 7; t++) {
      const token = { ...tokensOfInputs(composition, inputs, t, t + 1), state: state! };
      const offset = composition.position === undefined ? undefined : t;
      const result = recurrenceForward(composition, token, "recurrent", offset);
      expect(result.out.data).toEqual(sliceTokens(whole.out, t, t + 1).data);
      ({ state } = result);
    }
    expect(state!.data).toEqual(whole.state.data);
  });

  it("gives numbers for inputs of 1e4, zeros and duplicates", () => {
    for (const size of [1e4, 1, 0]) {
      const inputs = randomInputs(composition, "extremes", { tokens: 9 }, ["state"]);
      const scaled = Object.fromEntries(
        Object.entries(inputs).map(([name, tensor]) => {
          if (!["q", "k", "v", "u"].includes(name)) return [name, tensor];
          // Signs alternate by token, so that the largest key moves; the bonus of rwkv4 is an exponent.
          return [
            name,
            { ...tensor, data: tensor.data.map((_: number, at: number) => (at % 4 < 2 ? size : -size)) },
          ];
        }),
      ) as unknown as RecurrenceInputs<Tensor64>;
      const { out, state } = recurrenceForward(composition, scaled);
      const gradients = recurrenceBackward(composition, scaled, { dOut: ones(out), dState: ones(state) });
      const { dParameters, ...ofInputs } = gradients;
      for (const tensor of [out, state, ...Object.values(ofInputs), ...Object.values(dParameters)]) {
        expect(tensor.data.every(Number.isFinite)).toBe(true);
      }
    }
  });
});

describe("rules with a logarithm of their decay in place of it", () => {
  it.each(["gla", "gated-deltanet", "rwkv4", "rwkv5", "rwkv6", "rwkv7"])("%s", (selector) => {
    const composition = parseRecurrence(selector);
    const { decay, ...inputs } = randomInputs(composition, "logs", { tokens: 5 });
    const logDecay = { ...decay!, data: decay!.data.map((w) => Math.log(w)) };
    const [a, b] = [
      { ...inputs, decay: decay! },
      { ...inputs, logDecay },
    ].map((call) => recurrenceForward(composition, call));
    expect(largestDifference(a.out, b.out)).toBeLessThan(orderOfSums);
    expectGradients(composition, { ...inputs, logDecay }, selector);
  });
});

describe("where every query sees all tokens", () => {
  // A rope turns a query by its own place, so that it cannot take another's.
  const moved = ruleSelectors.map(parseRecurrence).filter(({ rule, position }) => rule.hasWhole && !position);
  it.each(moved.map(printRecurrence))("%s", (selector) => {
    const whole = parseRecurrence(`${selector}+full`);
    const causal = parseRecurrence(selector);
    const inputs = randomInputs(whole, "whole", { tokens: 6, queries: 4, keyHeads: 1 });
    const { out } = recurrenceForward(whole, inputs);
    // The last token of a causal call sees all tokens: give each query in turn to it.
    const { q, ...rest } = inputs;
    for (let query = 0; query < 4; query++) {
      const repeated = Array.from({ length: 6 }, () => sliceTokens(q!, query, query + 1));
      const rows = [0, 1].flatMap((head) =>
        repeated.flatMap(({ data }) => [...data.subarray(head * 3, (head + 1) * 3)]),
      );
      const last = recurrenceForward(causal, { ...rest, q: tensor64(rows, [1, 2, 6, 3]) }, "recurrent");
      const found = sliceTokens(last.out, 5, 6);
      expect(largestDifference(sliceTokens(out, query, query + 1), found)).toBeLessThan(orderOfSums);
    }
    expectGradients(whole, inputs, selector);
    expectGradients(whole, randomInputs(whole, "stateless", { tokens: 3, queries: 5 }, ["state"]), selector);
  });
});

describe("a state of zeros", () => {
  it.each(ruleSelectors)("is no state: %s", (selector) => {
    const composition = parseRecurrence(selector);
    const inputs = randomInputs(composition, "zeros", { tokens: 4 }, ["state"]);
    // Keys whose exponentials vanish beside that of a maximum of zero.
    const k = { ...inputs.k, data: inputs.k.data.map((x) => x - 1e4) };
    const none = recurrenceForward(composition, { ...inputs, k });
    const state = { ...none.state, data: none.state.data.map(() => 0) };
    const zeros = recurrenceForward(composition, { ...inputs, k, state });
    expect(zeros.out.data).toEqual(none.out.data);
    expect(zeros.state.data).toEqual(none.state.data);
    const { dState } = recurrenceBackward(composition, { ...inputs, k, state }, { dOut: ones(none.out) });
    expect(dState?.data.every(Number.isFinite)).toBe(true);
  });
});

describe("rwkv7 without its own direction of removal and mix", () => {
  it("removes along k, and writes k⊙a", () => {
    const composition = parseRecurrence("rwkv7");
    const inputs = randomInputs(composition, "defaults", { tokens: 5 }, ["kappa", "ka"]);
    const ka = tensor64(new Float64Array(6).fill(1), [2, 3]);
    const [a, b] = [inputs, { ...inputs, kappa: inputs.k, ka }].map((call) =>
      recurrenceForward(composition, call),
    );
    expect(a.out.data).toEqual(b.out.data);
    expectGradients(composition, inputs, "rwkv7 defaults");
  });
});

const ones = ({ data, shape }: Tensor64): Tensor64 => ({ data: data.map(() => 1), shape });

/** Along random directions of every input and parameter. */
function expectGradients(
  composition: RecurrenceComposition,
  inputs: RecurrenceInputs<Tensor64>,
  seed: string,
): void {
  const stream = random("directions", seed);
  const like = ({ shape, data }: Tensor64): Tensor64 =>
    tensor64(
      Float64Array.from(data, () => stream.normal()),
      shape,
    );
  const { out, state } = recurrenceForward(composition, inputs);
  const [dOut, dState] = [like(out), like(state)];
  const { dParameters, ...gradients } = recurrenceBackward(composition, inputs, { dOut, dState });
  const loss = (call: RecurrenceInputs<Tensor64>): number => {
    const result = recurrenceForward(composition, call);
    return dot(result.out, dOut) + dot(result.state, dState);
  };
  const { parameters = {}, ...tensors } = inputs;
  const variables = [
    ...(Object.entries(tensors) as [InputName, Tensor64][]).map(
      ([name, tensor]) =>
        [
          name,
          tensor,
          gradients[gradientName(name)],
          (moved: Tensor64) => ({ ...inputs, [name]: moved }),
        ] as const,
    ),
    ...Object.entries(parameters).map(
      ([name, tensor]) =>
        [
          name,
          tensor,
          dParameters[name],
          (moved: Tensor64) => ({ ...inputs, parameters: { ...parameters, [name]: moved } }),
        ] as const,
    ),
  ];
  for (const [name, tensor, gradient, withMoved] of variables) {
    expect(gradient?.shape, `gradient by ${name}`).toEqual(tensor.shape);
    for (let count = 0; count < 2; count++) {
      const direction = like(tensor);
      // Decays and strengths stay within their domain.
      const length = Math.hypot(...direction.data);
      const at = (step: number): number =>
        loss(
          withMoved({
            ...tensor,
            data: tensor.data.map((x, place) => x + (step * direction.data[place]) / length),
          }),
        );
      const h = 1e-3;
      const estimate = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      const derivative = dot(gradient!, direction) / length;
      const size = Math.hypot(...gradient!.data) + Math.abs(loss(inputs)) + 1;
      expect(Math.abs(estimate - derivative) / size, `by ${name}`).toBeLessThan(differenceError);
    }
  }
}

function dot(a: Tensor64, b: Tensor64): number {
  return a.data.reduce((sum, value, place) => sum + value * b.data[place], 0);
}
