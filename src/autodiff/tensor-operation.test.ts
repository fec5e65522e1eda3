/** @file Operations on plain numbers on a tape beside stages of jax-js: mixed values and gradients, labels, what is given back. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/index.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import { rmsNorm } from "../nn/rms-norm.ts";
import { fusedFeedForwardOperation } from "./fused-feed-forward-operation.ts";
import { fusedLossOperation } from "./fused-loss-operation.ts";
import { type Arrays } from "./operation.ts";
import { lossStage, stage } from "./stage.ts";
import { Tape } from "./tape.ts";
import { tensorOperation } from "./tensor-operation.ts";

beforeAll(() => startJax());

/** Sums of some ten products of numbers about 1 in float32, in two orders. */
const TOLERANCE = 1e-5;

const engine = new WasmEngine();
const stream = random("tensor operation");
const draw = (...shape: number[]): Tensor => ({ data: stream.normals(sizeOf(shape)), shape });
const arrayOf = ({ data, shape }: Tensor): np.Array => np.array(data, { shape: [...shape] });

async function expectClose(found: np.Array, expected: np.Array): Promise<void> {
  expect(found.shape).toEqual(expected.shape);
  const [numbers, others] = [await found.data(), await expected.data()];
  Array.from(numbers, Number).forEach((number, place) =>
    expect(Math.abs(number - others[place])).toBeLessThan(TOLERANCE),
  );
}

/** y = x·x, on plain numbers. */
const square = tensorOperation<"x", "y", undefined>("square", {
  forward: ({ x }) => ({ outputs: { y: { data: x.data.map((value) => value * value), shape: x.shape } } }),
  backward: ({ x }, { y }) => ({
    x: { data: x.data.map((value, place) => 2 * value * y!.data[place]), shape: x.shape },
  }),
});
const double = stage("double", ({ x }: Arrays) => ({ y: x.mul(2) }));
const product = lossStage("product", ({ a, b }: Arrays) => ({ loss: a.mul(b).sum() }));

test("a value that jax-js and plain numbers read has the sum of both gradients", async () => {
  const weight = np.array([1, -2, 3]);
  const tape = new Tape();
  const x = tape.parameter("x", weight);
  const { y: a } = await tape.run(square, { x });
  const { y: b } = await tape.run(double, { x });
  const { y: c } = await tape.run(square, { x: a });
  expect(await c.read()).toEqual(Float32Array.of(1, 16, 81));
  const { loss } = await tape.run(product, { a: c, b });
  const { x: gradient } = await tape.backward(loss);
  // Σ 2x⁵
  expect(await gradient.data()).toEqual(Float32Array.of(10, 160, 810));
  tape.dispose();
  expect(() => a.array).toThrow("its tape has freed it");
  await expect(c.tensor()).rejects.toThrow("its tape has freed it");
  weight.dispose();
});

test("it runs on arrays of jax-js too", async () => {
  const x = np.array([3]);
  const { outputs } = await square.forward({ x }, new Set(["x"]));
  expect(await outputs.y.data()).toEqual(Float32Array.of(9));
  const { x: gradient } = await square.backward({ x }, undefined, { y: np.array([2]) }, new Set(["x"]));
  expect(await gradient!.data()).toEqual(Float32Array.of(12));
  x.dispose();
});

test.each([undefined, [4, 0, 4, 2]])("a fused loss of the places %s is that of a stage", async (places) => {
  const parameters = { x: draw(2, 3, 4), gain: draw(4), table: draw(5, 4) };
  const targets = Int32Array.from({ length: places?.length ?? 6 }, () => stream.integer(5));
  const staged = lossStage("staged", ({ x, gain, table, targets: labels, positions }: Arrays) => {
    const rows = x.reshape([6, 4]);
    const chosen = positions === undefined ? rows : np.take(rows, positions, 0);
    return {
      loss: np.mean(crossEntropy(np.matmul(rmsNorm(chosen, gain), table.transpose()), labels)).mul(3),
    };
  });
  const triple = lossStage("triple", ({ loss }: Arrays) => ({ loss: loss.mul(3) }));
  const run = async (isFused: boolean): Promise<Record<string, np.Array>> => {
    const tape = new Tape();
    const arrays = Object.entries(parameters).map(([name, tensor]) => [name, arrayOf(tensor)] as const);
    const inputs = {
      ...Object.fromEntries(arrays.map(([name, array]) => [name, tape.parameter(name, array)])),
      targets: tape.constant(np.array(targets)),
      ...(places === undefined ? {} : { positions: tape.constant(np.array(Int32Array.from(places))) }),
    };
    const { loss } = isFused
      ? await tape.run(triple, await tape.run(fusedLossOperation(engine), inputs))
      : await tape.run(staged, inputs);
    const gradients = await tape.backward(loss);
    const result = { ...gradients, loss: loss.array.ref };
    tape.dispose();
    for (const [, array] of arrays) array.dispose();
    return result;
  };
  const [fused, expected] = [await run(true), await run(false)];
  expect(Object.keys(fused).toSorted()).toEqual(Object.keys(expected).toSorted());
  for (const [name, array] of Object.entries(fused)) await expectClose(array, expected[name]);
});

test("what a feed-forward block keeps is given back by backward, by dispose, and at once where no tape holds it", async () => {
  const { mark } = engine.arena;
  const operation = fusedFeedForwardOperation(engine);
  const tensors = { x: draw(3, 4), gain: draw(4), up: draw(6, 4), down: draw(4, 6) };
  const arrays: Arrays = Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, arrayOf(tensor)]),
  );
  const sum = lossStage("sum", ({ out }: Arrays) => ({ loss: out.sum() }));
  const start = async (): Promise<{ readonly tape: Tape; readonly gradients: () => Promise<Arrays> }> => {
    const tape = new Tape();
    const values = Object.entries(arrays).map(([name, array]) => [name, tape.parameter(name, array)]);
    const { out } = await tape.run(operation, Object.fromEntries(values));
    const { loss } = await tape.run(sum, { out });
    return { tape, gradients: () => tape.backward(loss) };
  };
  const whole = await start();
  expect(engine.arena.mark).toBeGreaterThan(mark);
  const gradients = await whole.gradients();
  expect(engine.arena.mark).toBe(mark);
  whole.tape.dispose();

  const half = await start();
  half.tape.dispose();
  expect(engine.arena.mark).toBe(mark);

  const wanted = new Set(["x", "gain", "up", "down"]);
  const { outputs, state } = await operation.forward(arrays, wanted);
  expect(engine.arena.mark).toBe(mark);
  const ones = np.ones([3, 4]);
  const again = await operation.backward(arrays, undefined, { out: ones }, wanted, state);
  for (const name of wanted) await expectClose(again[name]!, gradients[name]);
  for (const array of [outputs.out, ones, ...Object.values(arrays)]) array.dispose();
});
