/** @file Reversible layers against the same network on one tape that keeps all activations, and what they keep themselves. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { compose } from "../attention/index.ts";
import { random } from "../base/random.ts";
import { sizeOf } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/index.ts";
import { causal } from "../patterns/index.ts";
import { cosine } from "../similarities/index.ts";
import { attentionOperation } from "./attention-operation.ts";
import { type Arrays } from "./operation.ts";
import { type ResidualBlock, reversibleOperation } from "./reversible-operation.ts";
import { lossStage, stage } from "./stage.ts";
import { Tape } from "./tape.ts";
import { type Value } from "./value.ts";

beforeAll(() => startJax());

/** Streams of size 10 at most are rounded some 20 times on their way there and back, and slopes are about as large as they. */
const TOLERANCE = 20 * 10 * 2 ** -24;

const shape = [2, 5, 4] as const;
const stream = random("reversible");
const normal = (extents: readonly number[], deviation = 1): np.Array =>
  np.array(Float32Array.from(stream.normals(sizeOf(extents), deviation)), { shape: [...extents] });

const attend = attentionOperation(compose({ similarity: cosine(), pattern: causal() }));
const split = stage("split", ({ x, ...weights }: Arrays) => {
  const [weight] = Object.values(weights);
  const heads = np.matmul(x, weight).reshape([2, 5, 2, 2]).transpose([0, 2, 1, 3]);
  return { q: heads.ref, k: heads.ref, v: heads };
});
const join = stage("join", ({ x, out }: Arrays) => ({
  y: x.add(out.transpose([0, 2, 1, 3]).reshape([...shape])),
}));
const squash = stage("squash", ({ x, ...weights }: Arrays) => {
  const [weight] = Object.values(weights);
  return { y: x.ref.add(np.tanh(np.matmul(x, weight))) };
});

function attentionBlock(weight: string): ResidualBlock {
  return {
    reads: [weight, "beta"],
    async run(tape, x, values) {
      const heads = await tape.run(split, { x, [weight]: values[weight] });
      const { out } = await tape.run(attend, { ...heads, beta: values["beta"] });
      tape.release(...Object.values(heads));
      const { y } = await tape.run(join, { x, out });
      tape.release(out);
      return y;
    },
  };
}

const squashBlock = (weight: string): ResidualBlock => ({
  reads: [weight],
  run: async (tape, x, values) => (await tape.run(squash, { x, [weight]: values[weight] })).y,
});

/** Blocks of so many layers; the last two of them share a weight. */
function network(layers: number): {
  readonly blocks: ResidualBlock[];
  readonly weights: Record<string, np.Array>;
} {
  const names = Array.from({ length: layers }, (_, layer) => [
    `a${layer}`,
    `f${Math.min(layer, Math.max(0, layers - 2))}`,
  ]);
  return {
    blocks: names.flatMap(([a, f]) => [attentionBlock(a), squashBlock(f)]),
    weights: Object.fromEntries([
      ...names.flat().map((name) => [name, normal([4, 4], 0.7)] as const),
      ["beta", np.array([1, 2])],
    ]),
  };
}

const finish = lossStage("finish", ({ y1, y2 }: Arrays) => ({
  loss: y1.mul(y2.ref).sum().add(y2.ref.mul(y2).sum()),
}));
const add = stage("add", ({ to, block, from }: Arrays) => ({ y: to.add(block.sub(from)) }));

const numbers = async (array: np.Array): Promise<number[]> => [...((await array.data()) as Float32Array)];

test.each([1, 2, 5])("%i layers have the outputs and gradients of kept activations", async (layers) => {
  const { blocks, weights } = network(layers);
  const [x1, x2] = [normal(shape), normal(shape)];
  const gradientsOf = async (
    run: (tape: Tape, values: Record<string, Value>) => Promise<Record<"y1" | "y2", Value>>,
  ): Promise<Record<string, number[]>> => {
    const tape = new Tape();
    const given = { ...weights, x1, x2 };
    const values = Object.fromEntries(
      Object.entries(given).map(([name, array]) => [name, tape.parameter(name, array)]),
    );
    const { y1, y2 } = await run(tape, values);
    const outputs = { y1: [...(await y1.read())], y2: [...(await y2.read())] };
    const { loss } = await tape.run(finish, { y1, y2 });
    const gradients = await tape.backward(loss);
    tape.dispose();
    const entries = Object.entries(gradients).map(async ([name, array]) => [name, await numbers(array)]);
    return { ...outputs, ...(Object.fromEntries(await Promise.all(entries)) as Record<string, number[]>) };
  };
  const kept = await gradientsOf(async (tape, values) => {
    let [to, from] = [values["x1"], values["x2"]];
    for (const block of blocks) {
      const out = await block.run(tape, from, values);
      const { y } = await tape.run(add, { to, block: out, from });
      [to, from] = [from, y];
    }
    return { y1: to, y2: from };
  });
  const operation = reversibleOperation("network", blocks);
  const reversible = await gradientsOf((tape, values) => tape.run(operation, values));
  expect(Object.keys(reversible).toSorted()).toEqual(Object.keys(kept).toSorted());
  for (const [name, expected] of Object.entries(kept)) {
    const scale = Math.max(1, ...expected.map(Math.abs));
    const farthest = Math.max(...expected.map((value, at) => Math.abs(value - reversible[name][at])));
    expect([name, farthest / scale <= TOLERANCE]).toEqual([name, true]);
  }
  expect([x1, x2, ...Object.values(weights)].map(({ refCount }) => refCount)).toEqual(
    Array.from({ length: 2 + Object.keys(weights).length }, () => 1),
  );
});

test("an output that nobody reads has no gradient, and inputs without one get none", async () => {
  const { blocks, weights } = network(2);
  const operation = reversibleOperation("network", blocks);
  const inputs = { ...weights, x1: normal(shape), x2: normal(shape) };
  const wanted = new Set(["a0", "x2"]);
  const { outputs, saved } = await operation.forward(inputs, wanted);
  const gradients = await operation.backward(inputs, saved, { y1: outputs.y1 }, wanted);
  expect(Object.keys(gradients).toSorted()).toEqual(["a0", "x2"]);
  expect((await operation.forward(inputs, new Set())).saved).toBeUndefined();
});

test("what is kept at once does not grow with layers", async () => {
  const most = async (layers: number): Promise<number> => {
    const { blocks, weights } = network(layers);
    const tapes: Tape[] = [];
    let peak = 0;
    const look = (): void => {
      peak = Math.max(
        peak,
        tapes.reduce((sum, tape) => sum + tape.keptNumbers, 0),
      );
    };
    const watched = blocks.map(({ reads, run }): ResidualBlock => ({
      reads,
      async run(tape, x, values) {
        tapes.push(tape);
        const out = await run(tape, x, values);
        look();
        return out;
      },
    }));
    const tape = new Tape();
    tapes.push(tape);
    const inputs = { ...weights, x1: normal(shape), x2: normal(shape) };
    const values = Object.fromEntries(
      Object.entries(inputs).map(([name, array]) => [name, tape.parameter(name, array)]),
    );
    const streams = await tape.run(reversibleOperation("network", watched), values);
    const { loss } = await tape.run(finish, streams);
    look();
    await tape.backward(loss);
    look();
    // Every block once forward and once backward.
    expect(tapes).toHaveLength(1 + 2 * 2 * layers);
    tape.dispose();
    expect(tape.keptNumbers).toBe(0);
    return peak;
  };
  const peak = await most(2);
  expect(peak).toBeGreaterThan(4 * sizeOf(shape));
  expect(await most(9)).toBe(peak);
});

test("blocks must take turns", () => {
  expect(() => reversibleOperation("network", network(2).blocks.slice(1))).toThrow("3 blocks. Pass an even");
});
