import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { startJax } from "../kernels/jax/start.ts";
import { adamW } from "./optimiser.ts";

/** Ten steps of f32 on parameters of size 1, each with some ten roundings: 100·2⁻²⁴. */
const tolerance = 1e-5;

const declared = [
  { name: "matrix", shape: [2, 3], decays: true },
  { name: "gain", shape: [3], decays: false },
] as const;
const names = ["matrix", "gain"] as const;
const start = { matrix: random(1, "matrix").normals(6), gain: random(1, "gain").normals(3) };
const gradientAt = (step: number, name: string): Float32Array =>
  random(2, name, step).normals(name === "gain" ? 3 : 6, step === 3 ? 100 : 0.1);

type Numbers = Record<string, Float32Array>;

beforeAll(() => startJax());

function toArrays(numbers: Numbers): Record<string, np.Array> {
  return Object.fromEntries(
    declared.map(({ name, shape }) => [name, np.array(numbers[name], { shape: [...shape] })]),
  );
}

async function toNumbers(arrays: Record<string, np.Array>): Promise<Numbers> {
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, (await arrays[name].ref.data()) as Float32Array] as const),
    ),
  );
}

/** AdamW as its paper has it, in f64, with the clipping of the global norm. */
function inF64(steps: number): {
  readonly parameters: Record<string, Float64Array>;
  readonly norms: number[];
} {
  const parameters = Object.fromEntries(names.map((name) => [name, Float64Array.from(start[name])]));
  const first = Object.fromEntries(names.map((name) => [name, new Float64Array(start[name].length)]));
  const second = Object.fromEntries(names.map((name) => [name, new Float64Array(start[name].length)]));
  const norms: number[] = [];
  for (let step = 0; step < steps; step++) {
    const norm = Math.hypot(...names.flatMap((name) => [...gradientAt(step, name)]));
    norms.push(norm);
    for (const name of names) {
      gradientAt(step, name).forEach((raw, at) => {
        const gradient = raw * Math.min(1, 1 / norm);
        first[name][at] = 0.9 * first[name][at] + 0.1 * gradient;
        second[name][at] = 0.95 * second[name][at] + 0.05 * gradient ** 2;
        const m = first[name][at] / (1 - 0.9 ** (step + 1));
        const v = second[name][at] / (1 - 0.95 ** (step + 1));
        const decay = name === "matrix" ? 0.1 * parameters[name][at] : 0;
        parameters[name][at] -= 0.01 * (m / (Math.sqrt(v) + 1e-8) + decay);
      });
    }
  }
  return { parameters, norms };
}

test("takes the steps of AdamW with clipping, and decays matrices only", async () => {
  const optimiser = adamW(declared);
  const expected = inF64(10);
  let arrays = toArrays(start);
  for (let step = 0; step < 10; step++) {
    const gradients = toArrays(Object.fromEntries(names.map((name) => [name, gradientAt(step, name)])));
    const next = await optimiser.step(arrays, gradients, 0.01);
    arrays = next.parameters;
    expect(Math.abs(next.gradientNorm / expected.norms[step] - 1)).toBeLessThan(tolerance);
  }
  const found = await toNumbers(arrays);
  for (const name of names) {
    expected.parameters[name].forEach((value, at) =>
      expect(Math.abs(found[name][at] - value)).toBeLessThan(tolerance),
    );
  }
  for (const array of Object.values(arrays)) array.dispose();
  optimiser.dispose();
});

test("goes on from a snapshot with the same bits", async () => {
  const run = async (
    optimiser: ReturnType<typeof adamW>,
    numbers: Numbers,
    from: number,
    to: number,
  ): Promise<Numbers> => {
    let arrays = toArrays(numbers);
    for (let step = from; step < to; step++) {
      const gradients = toArrays(Object.fromEntries(names.map((name) => [name, gradientAt(step, name)])));
      ({ parameters: arrays } = await optimiser.step(arrays, gradients, 0.01));
    }
    const result = await toNumbers(arrays);
    for (const array of Object.values(arrays)) array.dispose();
    return result;
  };
  const [whole, half, other] = [adamW(declared), adamW(declared), adamW(declared)];
  const expected = await run(whole, start, 0, 8);
  const middle = await run(half, start, 0, 5);
  other.restore(await half.snapshot(), 5);
  expect(await run(other, middle, 5, 8)).toEqual(expected);
  for (const optimiser of [whole, half, other]) optimiser.dispose();
});

test("refuses a snapshot of another model", () => {
  const optimiser = adamW(declared);
  expect(() => optimiser.restore({ "matrix.m": { data: new Float32Array(5) } }, 1)).toThrow(
    "must hold 6 numbers: 5",
  );
  optimiser.dispose();
});
