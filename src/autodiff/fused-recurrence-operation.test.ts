/** @file The recurrence as an operation: what it saves, and gradients of what is wanted through out, through the state, through both. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { narrow, type Tensor, type Tensor64 } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/index.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { cores, randomCall } from "../recurrence/core-fixtures.ts";
import { coreBackward, coreForward, type CoreInputs } from "../recurrence/index.ts";
import { fusedRecurrenceOperation } from "./fused-recurrence-operation.ts";

beforeAll(() => startJax());

/** Sums of some dozens of products in float32. */
const TOLERANCE = 1e-5;

const core = cores["channel correction after raw"];
const inputs = Object.fromEntries(
  Object.entries(randomCall(core, "operation", { tokens: 5, heads: 2, keyHeads: 1 })).map(([name, value]) => [
    name,
    narrow(value as Tensor64),
  ]),
);
const call = inputs as unknown as CoreInputs<Tensor>;
const arrayOf = ({ data, shape }: Tensor): np.Array => np.array(data, { shape: [...shape] });
const arraysOf = (tensors: Readonly<Record<string, Tensor>>): Record<string, np.Array> =>
  Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, arrayOf(value)]));

async function expectClose(actual: np.Array, { data, shape }: Tensor64): Promise<void> {
  expect(actual.shape).toEqual(shape);
  const numbers = (await actual.data()) as Float32Array;
  const farthest = Math.max(...numbers.map((number, place) => Math.abs(number - data[place])));
  expect(farthest / Math.max(1, ...data.map(Math.abs))).toBeLessThanOrEqual(TOLERANCE);
}

test.each([{ through: ["out"] }, { through: ["state"] }, { through: ["out", "state"] }])(
  "gradients through $through",
  async ({ through }) => {
    const operation = fusedRecurrenceOperation(core, new WasmEngine());
    const wanted = new Set(["q", "v", "a", "logDecay", "state"]);
    const arrays = arraysOf(inputs);
    const { outputs, state } = await operation.forward(arrays, wanted);
    const expected = coreForward(core, call);
    await expectClose(outputs.out.ref, expected.out);
    await expectClose(outputs.state.ref, expected.state);

    const stream = random("operation gradients");
    const [out, last] = [expected.out, expected.state].map(({ data, shape }) => ({
      data: stream.normals(data.length),
      shape,
    }));
    const given = { out, state: last };
    const chosen = Object.fromEntries(Object.entries(given).filter(([name]) => through.includes(name)));
    const zeros = { data: new Float32Array(out.data.length), shape: out.shape };
    const reference = coreBackward(core, call, { out: zeros, ...chosen });
    const gradients = await operation.backward(arrays, undefined, arraysOf(chosen), wanted, state);
    expect(new Set(Object.keys(gradients))).toEqual(wanted);
    for (const [name, gradient] of Object.entries(gradients)) {
      await expectClose(gradient!, reference[name as keyof CoreInputs]!);
    }
    operation.dispose();
  },
);

test("without gradients nothing is kept", async () => {
  const operation = fusedRecurrenceOperation(core, new WasmEngine());
  const result = await operation.forward(arraysOf(inputs), new Set());
  expect(Object.keys(result)).toEqual(["outputs"]);
});
