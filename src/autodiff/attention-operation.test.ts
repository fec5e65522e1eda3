/** @file Attention as an operation: its inputs by name, what it saves, and gradients of what is wanted only. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { type AttentionInputs, compose, referenceBackward, referenceForward } from "../attention/index.ts";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor, tensor, tensor64 } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/index.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { none } from "../normalisers/index.ts";
import { causal, full } from "../patterns/index.ts";
import { cosine, dot, guards } from "../similarities/index.ts";
import { attentionOperation } from "./attention-operation.ts";

beforeAll(() => startJax());

/** Sums of some ten products of numbers about 1. */
const TOLERANCE = 1e-5;

const stream = random("attention operation");
const normal = (shape: readonly number[]): Tensor => tensor(stream.normals(sizeOf(shape)), shape);
const arrayOf = ({ data, shape }: Tensor): np.Array => np.array(data, { shape: [...shape] });

async function expectClose(
  actual: np.Array | undefined,
  expected: { readonly data: Float64Array },
): Promise<void> {
  const numbers = (await actual!.data()) as Float32Array;
  const farthest = Math.max(...numbers.map((number, place) => Math.abs(number - expected.data[place])));
  expect(farthest / Math.max(1, ...expected.data.map(Math.abs))).toBeLessThanOrEqual(TOLERANCE);
}

const q = normal([2, 4, 3, 8]);
const k = normal([2, 2, 5, 8]);
const v = normal([2, 2, 5, 6]);
const beta = tensor([1, 2, 3, 4], [4]);
const dOut = normal([2, 4, 3, 6]);

const engines = [
  ["jax-js", undefined],
  ["fused kernels", new WasmEngine()],
] as const;

test.each(engines)(
  "bias, mask and key lengths are inputs as well, and the offset is decided before: %s",
  async (_, engine) => {
    const composition = compose({ similarity: cosine(), pattern: causal() });
    const bias = normal([1, 4, 3, 5]);
    const mask = {
      data: Uint8Array.from({ length: 15 }, (_, place) => (place % 4 === 0 ? 0 : 1)),
      shape: [1, 1, 3, 5],
    };
    const keyLengths = [5, 4];
    const call: AttentionInputs<Tensor> = {
      q,
      k,
      v,
      bias,
      mask,
      keyLengths,
      offset: 2,
      parameters: { beta },
    };
    const operation = attentionOperation(composition, { offset: 2, engine });
    const inputs = {
      q: arrayOf(q),
      k: arrayOf(k),
      v: arrayOf(v),
      beta: arrayOf(beta),
      bias: arrayOf(bias),
      mask: np.array(Int32Array.from(mask.data), { shape: mask.shape, dtype: np.bool }),
      keyLengths: np.array(Int32Array.from(keyLengths)),
    };
    const wanted = new Set(["q", "v", "bias", "beta"]);
    const { outputs, saved, state } = await operation.forward(inputs, wanted);
    await expectClose(outputs.out.ref, referenceForward(composition, call, { guard: guards.f32 }).out);

    const gradients = await operation.backward(inputs, saved, { out: arrayOf(dOut) }, wanted, state);
    const expected = referenceBackward(composition, call, tensor64(dOut.data, dOut.shape), {
      guard: guards.f32,
    });
    expect(Object.keys(gradients).toSorted()).toEqual([...wanted].toSorted());
    await expectClose(gradients["q"], expected.dq);
    await expectClose(gradients["v"], expected.dv);
    await expectClose(gradients["bias"], expected.dBias!);
    await expectClose(gradients["beta"], expected.dParameters["beta"]);
    expect(Object.values(inputs).map(({ refCount }) => refCount)).toEqual(Object.values(inputs).map(() => 1));
    operation.dispose();
  },
);

test("without gradient nothing is saved", async () => {
  const operation = attentionOperation(compose({ similarity: dot(), pattern: full() }));
  const inputs = { q: arrayOf(q), k: arrayOf(k), v: arrayOf(v), scale: arrayOf(beta) };
  expect((await operation.forward(inputs, new Set())).saved).toBeUndefined();
  expect(Object.keys((await operation.forward(inputs, new Set(["q"]))).saved!).toSorted()).toEqual([
    "divisor",
    "maximum",
    "out",
    "weights",
  ]);
  operation.dispose();
});

test("raw scores are weights that need not be saved", async () => {
  const composition = compose({ similarity: dot(), pattern: full(), normaliser: none() });
  const operation = attentionOperation(composition);
  const inputs = { q: arrayOf(q), k: arrayOf(k), v: arrayOf(v), scale: arrayOf(beta) };
  const { saved } = await operation.forward(inputs, new Set(["k"]));
  expect(Object.keys(saved!)).toEqual(["out"]);
  const { k: gradient } = await operation.backward(inputs, saved, { out: arrayOf(dOut) }, new Set(["k"]));
  const call = { q, k, v, parameters: { scale: beta } };
  await expectClose(gradient, referenceBackward(composition, call, tensor64(dOut.data, dOut.shape)).dk);
  operation.dispose();
});
