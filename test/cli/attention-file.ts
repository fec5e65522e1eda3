/** @file Input files for `attend`, and comparison of what it wrote with what the library computes. */
import { join } from "node:path";
import { expect } from "vitest";
import {
  compose,
  completeSelector,
  parseSelector,
  random,
  referenceBackward,
  referenceForward,
  tensor64,
  type AttentionInputs,
  type Tensor64,
} from "../../src/index.ts";
import { encodeSafetensors, type WritableTensor } from "../../src/checkpoints/index.ts";
import { readSafetensors } from "../../src/checkpoints/safetensors-file.node.ts";
import { writeFile } from "node:fs/promises";

/** The sizes of a call. */
export interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly valueWidth: number;
}

/** Odd sizes, four query heads on two key heads, more keys than queries. */
export const oddSizes: Sizes = {
  batch: 2,
  heads: 4,
  keyHeads: 2,
  queries: 3,
  keys: 5,
  width: 6,
  valueWidth: 3,
};

/** Standard normal q, k, v and dout in float32 or float64. */
export function drawInputs(sizes: Sizes, precision: "F32" | "F64", seed = 1): Record<string, WritableTensor> {
  const { batch, heads, keyHeads, queries, keys, width, valueWidth } = sizes;
  const shapes = {
    q: [batch, heads, queries, width],
    k: [batch, keyHeads, keys, width],
    v: [batch, keyHeads, keys, valueWidth],
    dout: [batch, heads, queries, valueWidth],
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const data = random(seed, name).normals(shape.reduce((a, b) => a * b));
      // Float64 numbers that no float32 holds, so that rounding on the way would show.
      return [
        name,
        { shape, data: precision === "F32" ? data : Float64Array.from(data, (x) => x * (1 + 1e-10)) },
      ];
    }),
  );
}

/** Writes an input file and returns its path. */
export async function writeInputs(
  folder: string,
  name: string,
  tensors: Readonly<Record<string, WritableTensor>>,
): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, encodeSafetensors(tensors));
  return path;
}

const wide = ({ data, shape }: WritableTensor): Tensor64 => tensor64(Float64Array.from(data), shape);

/** What the library's reference gives for the same tensors, by the names of an output file. */
export function expectedResults(
  selector: string,
  tensors: Readonly<Record<string, WritableTensor>>,
  more: Omit<AttentionInputs<Tensor64>, "q" | "k" | "v"> = {},
): Record<string, Tensor64> {
  const composition = compose(completeSelector(parseSelector(selector), {}));
  const { q, k, v, dout } = tensors as Record<"q" | "k" | "v" | "dout", WritableTensor>;
  const inputs = { q: wide(q), k: wide(k), v: wide(v), ...more };
  const { out, lse } = referenceForward(composition, inputs);
  const { dq, dk, dv, dBias, dParameters } = referenceBackward(composition, inputs, wide(dout));
  return {
    out,
    ...(lse === undefined ? {} : { lse }),
    dq,
    dk,
    dv,
    ...(dBias === undefined ? {} : { dbias: dBias }),
    ...Object.fromEntries(Object.entries(dParameters).map(([name, value]) => [`dparam.${name}`, value])),
  };
}

/** The parameter values that an output file says were used. */
export async function usedParameters(path: string): Promise<Record<string, Tensor64>> {
  const { tensors } = await readSafetensors(path);
  const named = [...tensors].filter(([name]) => name.startsWith("param."));
  return Object.fromEntries(
    named.map(([name, { data, shape }]) => [
      name.slice("param.".length),
      wide({ data, shape } as WritableTensor),
    ]),
  );
}

/**
 * Holds an output file against expected tensors: the same names (beside `param.…`), shapes and numbers.
 *
 * @param tolerance - absolute, times the largest expected number of each tensor
 */
export async function expectFile(
  path: string,
  wanted: Readonly<Record<string, Tensor64>>,
  tolerance: number,
): Promise<void> {
  const { tensors } = await readSafetensors(path);
  const names = [...tensors.keys()].filter((name) => !name.startsWith("param."));
  expect(names.sort()).toEqual(Object.keys(wanted).sort());
  for (const [name, { data, shape }] of Object.entries(wanted)) {
    const found = tensors.get(name);
    expect({ name, shape: found?.shape }).toEqual({ name, shape });
    const numbers = Array.from<number | bigint, number>(found?.data ?? [], Number);
    const largest = data.reduce(
      (most, value) => Math.max(most, Number.isFinite(value) ? Math.abs(value) : 0),
      1e-30,
    );
    const worst = numbers.reduce((most, value, place) => {
      const expected = data[place] ?? Number.NaN;
      return value === expected ? most : Math.max(most, Math.abs(value - expected));
    }, 0);
    if (!(worst / largest <= tolerance)) {
      throw new Error(
        `${name} differs by ${worst / largest}, allowed are ${tolerance}: ${numbers.slice(0, 4).join(", ")} …`,
      );
    }
  }
}
