import { readFileSync } from "node:fs";
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { startJax } from "../kernels/jax/start.ts";
import { layerNorm } from "./layer-norm.ts";
import { rmsNorm } from "./rms-norm.ts";

/** Sums of at most 60 f32 numbers of size 3 and one root: a few units of 2⁻²³ of the largest output, about 5. */
const tolerance = 5e-6;

interface StoredArray {
  readonly name: string;
  readonly shape: readonly number[];
  readonly b64: string;
}

interface StandardCase {
  readonly name: string;
  readonly nodes: readonly [{ readonly attrs: { readonly axis?: number; readonly epsilon?: number } }];
  readonly inputs: readonly StoredArray[];
  readonly outputs: readonly StoredArray[];
}

beforeAll(() => startJax());

function numbersOf({ b64 }: StoredArray): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(b64, "base64")).buffer);
}

/** The standard normalises over all axes from `axis` on; our functions over the last, so those are flattened into one. */
function flattened(stored: StoredArray, rows: number): np.Array {
  const numbers = numbersOf(stored);
  return np.array(numbers, { shape: [rows, numbers.length / rows] });
}

function rowsOf({ shape }: StoredArray, axis: number): number {
  const first = axis < 0 ? axis + shape.length : axis;
  return shape.slice(0, first).reduce((product, extent) => product * extent, 1);
}

function largestDifference(actual: ArrayLike<number>, expected: Float32Array): number {
  return expected.reduce((largest, value, place) => Math.max(largest, Math.abs(value - actual[place])), 0);
}

describeWithSharedData("RMSNorm equals the ONNX standard", "onnx/rMSNormalization.json", (place) => {
  const cases = JSON.parse(readFileSync(place, "utf8")) as readonly StandardCase[];
  test.each(cases)("$name", async ({ nodes, inputs, outputs }) => {
    const { axis = -1, epsilon = 1e-5 } = nodes[0].attrs;
    const [x, weight] = inputs;
    const rows = rowsOf(x, axis);
    const y = rmsNorm(flattened(x, rows), flattened(weight, 1).reshape([-1]), epsilon);
    expect(largestDifference(await y.data(), numbersOf(outputs[0]))).toBeLessThan(tolerance);
  });
});

describeWithSharedData("LayerNorm equals the ONNX standard", "onnx/layerNormalization.json", (place) => {
  const cases = JSON.parse(readFileSync(place, "utf8")) as readonly StandardCase[];
  test.each(cases)("$name", async ({ nodes, inputs, outputs }) => {
    const { axis = -1, epsilon = 1e-5 } = nodes[0].attrs;
    const [x, weight, bias] = inputs;
    const rows = rowsOf(x, axis);
    const y = layerNorm(
      flattened(x, rows),
      flattened(weight, 1).reshape([-1]),
      flattened(bias, 1).reshape([-1]),
      epsilon,
    );
    expect(largestDifference(await y.data(), numbersOf(outputs[0]))).toBeLessThan(tolerance);
  });
});
