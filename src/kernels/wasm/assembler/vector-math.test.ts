/** @file Vector operations against float64: every one to the accuracy that it states. */
import { describe, expect, test } from "vitest";
import { random } from "../../../base/random.ts";
import { arithmetic } from "../../../score/expression.ts";
import { defineFunction, f32x4, type FunctionBuilder, i32, type Value } from "./assembler.ts";
import { encodeWasm } from "./encode-wasm.ts";
import { hasRelaxedSimd } from "../engine/engine.ts";
import { allowRelaxedSimd } from "../engine/pool.node.ts";
import { expOfNonPositive, operationsOfNonNegative, vectorOperations } from "./vector-math.ts";

type Unary = "exp" | "log" | "log1p" | "sinh" | "cosh" | "tanh" | "asinh" | "logistic" | "sign" | "step";

type Emit = (b: FunctionBuilder, x: Value) => Value;

const general =
  (name: Unary): Emit =>
  (b, x) =>
    vectorOperations[name](b, x, x);

/** Applies an operation to numbers, four at a time. */
function applied(emit: Emit, relaxed: boolean): (inputs: Float32Array) => Float32Array {
  const count = 4096;
  const apply = defineFunction("apply", "", ["bytes"], relaxed, (b, bytes) => {
    const at = b.local("i32", "at");
    b.for(at, 0, bytes, 16, () => {
      const x = b.let("x", f32x4.load(at));
      b.store(i32.add(at, 4 * count), emit(b, x));
    });
  });
  const pages = { minimum: 1, maximum: 1, shared: false };
  const bytes = encodeWasm({ header: [], functions: [apply], exports: ["apply"], memory: pages });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { qklab: { memory } });
  const view = new Float32Array(memory.buffer);
  return (inputs) => {
    view.set(inputs);
    (exports["apply"] as (bytes: number) => void)(4 * inputs.length);
    return view.slice(count, count + inputs.length);
  };
}

/** Distance in units of the last place of the float32 nearest to `expected`. */
function ulps(actual: number, expected: number): number {
  if (Object.is(actual, Math.fround(expected)) || actual === expected) return 0;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(expected))), -126);
  return Math.abs(actual - expected) / 2 ** (exponent - 23);
}

/** Where each operation is used and how many ULP it may be off: roundings of its polynomial and its last steps. */
const cases: readonly {
  readonly name: Unary;
  readonly from: number;
  readonly to: number;
  readonly most: number;
}[] = [
  { name: "exp", from: -87, to: 88.7, most: 2 },
  { name: "log", from: 1e-30, to: 1e30, most: 2 },
  { name: "log", from: 0.5, to: 2, most: 2 },
  { name: "log1p", from: -0.9, to: 10, most: 3 },
  { name: "log1p", from: 1e-8, to: 1e-2, most: 3 },
  { name: "sinh", from: -88, to: 88, most: 3 },
  { name: "sinh", from: -1.5, to: 1.5, most: 3 },
  { name: "cosh", from: -88, to: 88, most: 3 },
  { name: "tanh", from: -10, to: 10, most: 3 },
  { name: "asinh", from: -100, to: 100, most: 4 },
  { name: "asinh", from: 1e8, to: 1e18, most: 4 },
  { name: "asinh", from: -1e-2, to: 1e-2, most: 4 },
  { name: "logistic", from: -80, to: 80, most: 4 },
];

/** As above, for the shorter code of arguments that are never negative, spread by their logarithm. */
const casesOfNonNegative = [
  { name: "log1p", from: 1e-8, to: 1, most: 3 },
  { name: "log1p", from: 0.3, to: 1e30, most: 3 },
  { name: "asinh", from: 1e-8, to: 0.4, most: 4 },
  { name: "asinh", from: 0.3, to: 2, most: 4 },
  { name: "asinh", from: 2, to: 1e30, most: 4 },
] as const;

allowRelaxedSimd();
const simds = hasRelaxedSimd() ? [false, true] : [false];

describe.each(simds)("with relaxed SIMD: %s", (relaxed) => {
  test.each(cases)("$name is within $most ULP on [$from, $to]", ({ name, from, to, most }) => {
    const stream = random("vector-math", name, from);
    const inputs = Float32Array.from({ length: 4096 }, () => from + (to - from) * stream.uniform());
    const outputs = applied(general(name), relaxed)(inputs);
    const worst = Math.max(
      ...outputs.map((output, index) => ulps(output, arithmetic[name](inputs[index], 0))),
    );
    expect(worst).toBeLessThanOrEqual(most);
  });

  test.each(casesOfNonNegative)(
    "$name of arguments ≥ 0 is within $most ULP on [$from, $to]",
    ({ name, from, to, most }) => {
      const stream = random("vector-math-non-negative", name, from);
      const inputs = Float32Array.from({ length: 4096 }, () => from * (to / from) ** stream.uniform());
      const outputs = applied(operationsOfNonNegative[name]!, relaxed)(inputs);
      const worst = Math.max(
        ...outputs.map((output, index) => ulps(output, arithmetic[name](inputs[index], 0))),
      );
      expect(worst).toBeLessThanOrEqual(most);
    },
  );

  test("weights are within 2 ULP and a rounding of their argument", () => {
    const stream = random("vector-math-weights");
    const inputs = Float32Array.from({ length: 4096 }, (_, index) =>
      index % 2 === 0 ? -87 * stream.uniform() : -stream.uniform(),
    );
    const outputs = applied(expOfNonPositive, relaxed)(inputs);
    outputs.forEach((output, index) => {
      const x = inputs[index];
      expect(ulps(output, Math.exp(x))).toBeLessThanOrEqual(2 + 2 * Math.abs(x));
    });
    const ends = Float32Array.from([0, -Infinity, -88, -1e30]);
    expect([...applied(expOfNonPositive, relaxed)(ends)]).toEqual([1, 0, 0, 0]);
  });

  test("operations of arguments ≥ 0 are exact at 0 and grow to the end of float32", () => {
    const ends = Float32Array.from([0, 1e-20, 1e19, 1e38]);
    for (const name of ["asinh", "log1p"] as const) {
      const [zero, tiny, ...large] = applied(operationsOfNonNegative[name]!, relaxed)(ends);
      expect([zero, tiny]).toEqual([0, Math.fround(1e-20)]);
      large.forEach((value, index) =>
        expect(ulps(value, arithmetic[name](ends[index + 2], 0))).toBeLessThanOrEqual(4),
      );
    }
  });

  test("ends of the domains are exact", () => {
    const at = (name: Unary, ...inputs: number[]): number[] =>
      [...applied(general(name), relaxed)(Float32Array.from([...inputs, 0, 0, 0, 0].slice(0, 4)))].slice(
        0,
        inputs.length,
      );
    expect(at("exp", 0, -Infinity, -88, 100)).toEqual([1, 0, 0, Infinity]);
    expect(at("log", 1, 0, Infinity, -1)).toEqual([0, -Infinity, Infinity, NaN]);
    expect(at("log1p", 0, -1, Infinity, 1e-20)).toEqual([0, -Infinity, Infinity, Math.fround(1e-20)]);
    expect(at("asinh", 0, 1e-20, 1e-10)).toEqual([0, Math.fround(1e-20), Math.fround(1e-10)]);
    expect(at("logistic", 0, 200, -200)).toEqual([0.5, 1, 0]);
    expect(at("sign", -3, 0, 2)).toEqual([-1, 0, 1]);
    expect(at("step", -3, 0, 2)).toEqual([0, 0, 1]);
    expect(at("tanh", 0, 50, -50)).toEqual([0, 1, -1]);
    expect(ulps(at("log", 1e-40)[0], Math.log(Math.fround(1e-40)))).toBeLessThanOrEqual(2);
  });
});
