/** @file Stages on their own: what they differentiate, what they leave alone, what they refuse. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../kernels/jax/index.ts";
import { type Arrays } from "./operation.ts";
import { lossStage, stage } from "./stage.ts";

beforeAll(() => startJax());

const numbers = async (array: np.Array | undefined): Promise<number[]> => [...(await array!.data())];
const wanted = <Name extends string>(...names: readonly Name[]): ReadonlySet<Name> => new Set(names);

test("a stage never consumes what it is given", async () => {
  const double = stage("double", ({ x }: Arrays<"x">) => ({ y: x.mul(2) }));
  const x = np.array([1, 2]);
  const first = await double.forward({ x }, wanted("x"));
  const second = await double.forward({ x }, wanted("x"));
  expect(x.refCount).toBe(1);
  expect(await numbers(first.outputs.y)).toEqual([2, 4]);
  const { x: gradient } = await double.backward({ x }, undefined, { y: second.outputs.y }, wanted("x"));
  expect(x.refCount).toBe(1);
  expect(await numbers(gradient)).toEqual([4, 8]);
  double.dispose();
});

test("only wanted inputs get a gradient, integers never need one", async () => {
  const gather = stage("gather", ({ table, ids }: Arrays<"table" | "ids">) => ({
    rows: np.take(table, ids, 0),
  }));
  const inputs = { table: np.array([[1], [2], [3]]), ids: np.array(Int32Array.of(2, 0, 2)) };
  const { outputs } = await gather.forward(inputs, wanted("table"));
  expect(await numbers(outputs.rows)).toEqual([3, 1, 3]);
  const gradients = await gather.backward(
    inputs,
    undefined,
    { rows: np.array([[1], [10], [100]]) },
    wanted("table"),
  );
  expect(Object.keys(gradients)).toEqual(["table"]);
  expect(await numbers(gradients.table)).toEqual([10, 0, 101]);
  gather.dispose();
});

test("outputs without gradient take no part, also when they are integers", async () => {
  const split = stage("split", ({ x }: Arrays<"x">) => ({
    square: x.ref.mul(x.ref),
    cube: x.ref.mul(x.ref).mul(x.ref),
    signs: np.greater(x, 0).astype(np.int32),
  }));
  const inputs = { x: np.array([3]) };
  const one = np.array([1]);
  const pull = async (gradients: Partial<Arrays<"square" | "cube" | "signs">>): Promise<number[]> =>
    numbers((await split.backward(inputs, undefined, gradients, wanted("x"))).x);
  expect(await pull({ square: one })).toEqual([6]);
  expect(await pull({ cube: one })).toEqual([27]);
  expect(await pull({ square: one, cube: one })).toEqual([33]);
  split.dispose();
});

test("outputs may be computed from each other, be the same, or be inputs", async () => {
  const chain = stage("chain", ({ x }: Arrays<"x">) => {
    const double = x.ref.mul(2);
    return { double: double.ref, same: double.ref, square: double.ref.mul(double), x };
  });
  const inputs = { x: np.array([3]) };
  const gradients = {
    double: np.array([1]),
    same: np.array([10]),
    square: np.array([100]),
    x: np.array([1000]),
  };
  // d/dx of 2x, 2x, 4x² and x at x = 3.
  expect(await numbers((await chain.backward(inputs, undefined, gradients, wanted("x"))).x)).toEqual([
    2 + 20 + 2400 + 1000,
  ]);
  chain.dispose();
});

test("a loss computes its gradients with its value, and scales them by its own gradient", async () => {
  const meanSquare = lossStage("mean square", ({ x, target }: Arrays<"x" | "target">) => {
    const difference = x.sub(target);
    return { loss: difference.ref.mul(difference.ref).sum(), largest: difference.max() };
  });
  const inputs = { x: np.array([1, 5]), target: np.array([0, 3]) };
  const { outputs, saved } = await meanSquare.forward(inputs, wanted("x"));
  expect(await numbers(outputs.loss)).toEqual([5]);
  expect(await numbers(outputs.largest)).toEqual([2]);
  expect(Object.keys(saved!)).toEqual(["x"]);
  const { x } = await meanSquare.backward(inputs, saved, { loss: np.array(10) }, wanted("x"));
  expect(await numbers(x)).toEqual([20, 40]);

  const measured = await meanSquare.forward(inputs, wanted());
  expect(measured.saved).toBeUndefined();
  expect(await numbers(measured.outputs.loss)).toEqual([5]);
  meanSquare.dispose();
});

test("a loss that is no scalar is refused with the cure", () => {
  const vector = lossStage("vector", ({ x }: Arrays<"x">) => ({ loss: x }));
  expect(() => vector.forward({ x: np.ones([3]) }, wanted("x"))).toThrow(
    "shape [3]. Return { loss: x.mean() }",
  );
  const nothing = lossStage("nothing", (({ x }: Arrays<"x">) => ({ error: x })) as never);
  expect(() => nothing.forward({ x: np.ones([3]) }, wanted())).toThrow("there is none");
});

test("a measurement of a loss has no gradient, and says so", async () => {
  const loss = lossStage("loss", ({ x }: Arrays<"x">) => ({ loss: x.ref.sum(), most: x.max() }));
  const inputs = { x: np.array([1, 2]) };
  const { saved } = await loss.forward(inputs, wanted("x"));
  expect(() => loss.backward(inputs, saved, { loss: np.array(1), most: np.array(1) }, wanted("x"))).toThrow(
    "only its loss has a gradient: 'most' was used further",
  );
});
