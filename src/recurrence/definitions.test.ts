/**
 * @file Every rule against its definition, written out for one head with plain arrays: no core, no logs of decays, no
 * maxima.
 */
import { describe, expect, it } from "vitest";
import { type Tensor64 } from "../base/tensor.ts";
import { recurrenceForward } from "./backend.ts";
import { type RecurrenceInputs } from "./check-call.ts";
import { performer, randomLogFeatures } from "./performer.ts";
import { randomInputs } from "./rule-fixtures.ts";
import { parseRecurrence } from "./selector.ts";

type Matrix = readonly (readonly number[])[];

const tokens = 6;
const width = 3;

/** Sums of a few dozen products of numbers of size 1 to 10, once in each order. */
const rounding = 1e-12;

const dot = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((sum, value, d) => sum + value * y[d], 0);
const scale = (x: readonly number[], factor: number): number[] => x.map((value) => value * factor);
const unit = (x: readonly number[]): number[] => scale(x, 1 / Math.hypot(...x));
const times = (x: readonly number[], matrix: Matrix): number[] =>
  matrix[0].map((_, e) => matrix.reduce((sum, row, d) => sum + x[d] * row[e], 0));
const outer = (x: readonly number[], y: readonly number[]): Matrix => x.map((value) => scale(y, value));
const plus = (a: Matrix, b: Matrix): Matrix => a.map((row, d) => row.map((value, e) => value + b[d][e]));
const rows = (x: readonly number[], matrix: Matrix): Matrix => matrix.map((row, d) => scale(row, x[d]));
const zeros = (height: number, columns: number): Matrix =>
  Array.from({ length: height }, () => Array.from({ length: columns }, () => 0));

/** Row t of a [1, 1, N, D] tensor, or number t of [1, 1, N]. */
const row = ({ data }: Tensor64, t: number): number[] => [...data.subarray(t * width, (t + 1) * width)];

interface Head {
  readonly q: (t: number) => number[];
  readonly k: (t: number) => number[];
  readonly v: (t: number) => number[];
  readonly inputs: RecurrenceInputs<Tensor64>;
}

/** Outputs of a matrix state that `step` updates and reads. */
function run(step: (state: Matrix, t: number) => readonly [Matrix, number[]]): number[] {
  let state = zeros(width, width);
  return Array.from({ length: tokens }, (_, t) => {
    const [next, out] = step(state, t);
    state = next;
    return out;
  }).flat();
}

/** Σ_j≤t κ(q_t, k_j)·v_j over the sum of κ plus epsilon. */
function kernel(
  head: Head,
  compare: (q: number[], k: number[]) => number,
  epsilon: number | "raw",
): number[] {
  return Array.from({ length: tokens }, (_, t) => {
    const weights = Array.from({ length: t + 1 }, (_, j) => compare(head.q(t), head.k(j)));
    const sum = epsilon === "raw" ? 1 : weights.reduce((total, weight) => total + weight, epsilon);
    return Array.from({ length: width }, (_, e) =>
      weights.reduce((total, weight, j) => total + (weight / sum) * head.v(j)[e], 0),
    );
  }).flat();
}

const elu1 = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));
const relu = (x: number): number => Math.max(x, 0);
const softmax = (x: readonly number[]): number[] => {
  const weights = x.map(Math.exp);
  return scale(weights, 1 / weights.reduce((a, b) => a + b, 0));
};
const root = Math.sqrt(width);
const features = randomLogFeatures(9, 5);
const favor = (x: number[]): number[] => {
  const logs = new Float64Array(9);
  features.forward(Float64Array.from(x), logs, new Float64Array());
  return [...logs].map((log) => Math.exp(log) / 3);
};

const definitions: Readonly<Record<string, (head: Head) => number[]>> = {
  linear: (head) => kernel(head, (q, k) => dot(q.map(elu1), k.map(elu1)), 1e-6),
  "linear:map=relu": (head) => kernel(head, (q, k) => dot(q.map(relu), k.map(relu)), 1e-6),
  "linear:map=exp": (head) => kernel(head, (q, k) => dot(q.map(Math.exp), k.map(Math.exp)), 0),
  "linear:map=taylor2": (head) =>
    kernel(head, (q, k) => 1 + dot(q, k) / root + dot(q, k) ** 2 / (2 * width), 1e-6),
  "linear:map=hedgehog": (head) => {
    const { data } = head.inputs.parameters!["projection"];
    const map = (x: number[]): number[] => {
      const mapped = [0, 1, 2].map((r) => dot([...data.subarray(r * width, (r + 1) * width)], x));
      return [...softmax(mapped), ...softmax(scale(mapped, -1))];
    };
    return kernel(head, (q, k) => dot(map(q), map(k)), 1e-6);
  },
  "linear:map=identity": (head) => kernel(head, dot, 1e-6),
  "linear:map=identity,normaliser=none": (head) => kernel(head, dot, "raw"),
  "performer:features=9,seed=5": (head) => kernel(head, (q, k) => dot(favor(q), favor(k)), 0),
  retnet: (head) =>
    run((state, t) => {
      const next = plus(rows([31 / 32, 31 / 32, 31 / 32], state), outer(head.k(t), head.v(t)));
      return [next, scale(times(head.q(t), next), 1 / root)];
    }),
  gla: (head) =>
    run((state, t) => {
      const next = plus(rows(row(head.inputs.decay!, t), state), outer(head.k(t), head.v(t)));
      return [next, scale(times(head.q(t), next), 1 / root)];
    }),
  deltanet: (head) =>
    run((state, t) => {
      const [key, beta] = [unit(head.k(t)), head.inputs.beta!.data[t]];
      const error = head.v(t).map((value, e) => value - times(key, state)[e]);
      const next = plus(state, outer(scale(key, beta), error));
      return [next, times(unit(head.q(t)), next)];
    }),
  "gated-deltanet": (head) =>
    run((state, t) => {
      const [key, beta, alpha] = [unit(head.k(t)), head.inputs.beta!.data[t], head.inputs.decay!.data[t]];
      const kept = plus(state, outer(scale(key, -beta), times(key, state)));
      const next = plus(rows([alpha, alpha, alpha], kept), outer(scale(key, beta), head.v(t)));
      return [next, times(unit(head.q(t)), next)];
    }),
  rwkv4: ({ k, v, inputs }) =>
    Array.from({ length: tokens }, (_, t) =>
      Array.from({ length: width }, (_, d) => {
        const [decay, bonus] = [inputs.decay!.data[d], Math.exp(inputs.u!.data[d] + k(t)[d])];
        let [numerator, denominator] = [bonus * v(t)[d], bonus];
        for (let i = 0; i < t; i++) {
          const weight = decay ** (t - 1 - i) * Math.exp(k(i)[d]);
          numerator += weight * v(i)[d];
          denominator += weight;
        }
        return numerator / denominator;
      }),
    ).flat(),
  rwkv5: (head) =>
    run((state, t) => {
      const written = outer(head.k(t), head.v(t));
      const read = plus(state, rows([...head.inputs.u!.data], written));
      return [plus(rows([...head.inputs.decay!.data], state), written), times(head.q(t), read)];
    }),
  rwkv6: (head) =>
    run((state, t) => {
      const written = outer(head.k(t), head.v(t));
      const read = plus(state, rows([...head.inputs.u!.data], written));
      return [plus(rows(row(head.inputs.decay!, t), state), written), times(head.q(t), read)];
    }),
  rwkv7: (head) =>
    run((state, t) => {
      const rate = row(head.inputs.a!, t);
      const removal = unit(row(head.inputs.kappa!, t));
      const mix = [...head.inputs.ka!.data];
      const written = head.k(t).map((x, d) => x * (1 + (rate[d] - 1) * mix[d]));
      const removed = outer(
        removal.map((x, d) => -x * rate[d]),
        times(removal, state),
      );
      const next = plus(plus(rows(row(head.inputs.decay!, t), state), removed), outer(written, head.v(t)));
      return [next, times(head.q(t), next)];
    }),
};

describe("the definition of", () => {
  it.each(Object.entries(definitions))("%s", (selector, definition) => {
    const composition = parseRecurrence(selector);
    const sizes = { tokens, heads: 1, width, valueWidth: width };
    const inputs = randomInputs(composition, "definitions", sizes, ["state"]);
    const of = (tensor: Tensor64 | undefined) => (t: number) => (tensor === undefined ? [] : row(tensor, t));
    const expected = definition({ q: of(inputs.q), k: of(inputs.k), v: of(inputs.v), inputs });
    const { out } = recurrenceForward(composition, inputs);
    out.data.forEach((value, place) => {
      const allowed =
        rounding * Math.max(1, Math.abs(expected[place])) * (selector.includes("identity") ? 1e6 : 1);
      expect(Math.abs(value - expected[place])).toBeLessThan(allowed);
    });
  });

  it("performer's features by default: ⌊D·ln D⌋", () => {
    const rule = performer();
    const sizes = { batch: 1, heads: 1, keyHeads: 1, queries: 1, tokens: 1, width: 64, valueWidth: 8 };
    expect(rule.stateShape(sizes)).toEqual([1, 1, 266, 10]);
    expect(rule.stateShape({ ...sizes, width: 1 })).toEqual([1, 1, 1, 10]);
  });
});
