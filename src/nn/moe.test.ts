/** @file A mixture on the tape, fused and in jax-js, against the f64 mixture; one expert is the dense block. */
import { numpy as np } from "@jax-js/jax";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lossStage, Tape } from "../autodiff/index.ts";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor, tensor } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/start.ts";
import { referenceRouting, referenceRoutingBackward } from "../kernels/reference/routing.ts";
import { mixtralRouting, type RoutingRule, switchRouting, type WasmEngine } from "../kernels/wasm/index.ts";
import { nodeEngine } from "../kernels/wasm/engine/pool.node.ts";
import { activatedFeedForward, swiglu } from "./feed-forward.ts";
import { mixtureOfExperts } from "./moe.ts";

/** Products of forty terms in float32 in another order, relative to the largest number. */
const TOLERANCE = 2e-5;

const engine = nodeEngine({ threads: 1 });
beforeAll(() => startJax());
afterAll(() => engine.close());

interface Sizes {
  readonly tokens: number;
  readonly experts: number;
  readonly width: number;
  readonly hidden: number;
}

type Tensors = Record<string, Tensor>;

function makeTensors({ tokens, experts, width, hidden }: Sizes, hasGate: boolean): Tensors {
  const stream = random("mixture on the tape", tokens, experts);
  const make = (deviation: number, ...shape: readonly number[]): Tensor =>
    tensor(stream.normals(sizeOf(shape), deviation), shape);
  return {
    x: make(1, tokens, width),
    scores: make(1, 1, 1, tokens, experts),
    ...(hasGate ? { gate: make(width ** -0.5, experts, hidden, width) } : {}),
    up: make(width ** -0.5, experts, hidden, width),
    down: make(hidden ** -0.5, experts, width, hidden),
    dOut: make(1, tokens, width),
  };
}

const arrayOf = ({ data, shape }: Tensor): np.Array => np.array(data, { shape: [...shape] });

/** Output, balance and the gradients of Σ out·dOut + 3·balance. */
async function runMixture(
  { dOut, ...tensors }: Tensors,
  rule: RoutingRule,
  device: WasmEngine | undefined,
): Promise<Record<string, ArrayLike<number>>> {
  const mixture = mixtureOfExperts({ rule, experts: tensors["up"].shape[0], engine: device });
  const total = lossStage("total", ({ out, weights, balance }) => ({
    loss: np.sum(out.mul(weights)).add(balance.mul(3)),
  }));
  const arrays = Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, arrayOf(value)]));
  const tape = new Tape();
  try {
    const values = Object.fromEntries(
      Object.entries(arrays).map(([name, array]) => [name, tape.parameter(name, array)]),
    ) as unknown as Parameters<typeof mixture.run>[1];
    const { out, balance } = await mixture.run(tape, values);
    const [read, cost] = [await out.read(), await balance.read()];
    const { loss } = await tape.run(total, { out, balance, weights: tape.constant(arrayOf(dOut)) });
    const gradients = await tape.backward(loss);
    const entries = Object.entries(gradients).map(
      async ([name, array]) => [name, await array.data()] as const,
    );
    return { out: read, balance: cost, ...Object.fromEntries(await Promise.all(entries)) };
  } finally {
    tape.dispose();
    mixture.dispose();
    total.dispose();
    for (const array of Object.values(arrays)) array.dispose();
  }
}

function expectClose(given: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(given.length).toBe(expected.length);
  let [worst, largest] = [0, 1];
  for (let place = 0; place < expected.length; place++) {
    largest = Math.max(largest, Math.abs(expected[place]));
    const error = Math.abs(given[place] - expected[place]);
    if (!(error <= worst)) worst = error;
  }
  expect(worst / largest).toBeLessThanOrEqual(TOLERANCE);
}

const sizes: readonly Sizes[] = [
  { tokens: 1, experts: 5, width: 3, hidden: 2 },
  { tokens: 65, experts: 4, width: 8, hidden: 17 },
];
const rules = [
  switchRouting({ capacityFactor: 0.7, balance: 0.5 }),
  mixtralRouting({ balance: 0.5 }),
  switchRouting({ choices: 3, balance: 0 }),
];

describe.each([
  ["SwiGLU", true],
  ["GELU", false],
] as const)("%s", (_, hasGate) => {
  test.each(rules)("$name, $choices choices: jax-js gives what the engine gives", async (rule) => {
    for (const size of sizes) {
      const tensors = makeTensors(size, hasGate);
      const [ours, theirs] = [
        await runMixture(tensors, rule, engine),
        await runMixture(tensors, rule, undefined),
      ];
      expect(Object.keys(ours)).toEqual(Object.keys(theirs));
      for (const name of Object.keys(ours)) expectClose(ours[name], theirs[name]);
    }
  });

  test("one expert is the dense block", async () => {
    const tensors = makeTensors({ tokens: 33, experts: 1, width: 8, hidden: 17 }, hasGate);
    const only = ({ data, shape: [, rows, columns] }: Tensor): np.Array =>
      arrayOf(tensor(data, [rows, columns]));
    const { x, gate, up, down } = tensors;
    const weights = { up: only(up), down: only(down) };
    const dense = hasGate
      ? swiglu(arrayOf(x), { ...weights, gate: only(gate) })
      : activatedFeedForward(arrayOf(x), weights, "gelu");
    const expected = await dense.data();
    for (const device of [engine, undefined]) {
      const { out, scores } = await runMixture(tensors, switchRouting({ capacityFactor: "none" }), device);
      expectClose(out, expected);
      expect([...(scores as Float32Array)].every((value) => value === 0)).toBe(true);
    }
  });
});

test("permuting experts permutes their gradients and nothing else", async () => {
  const tensors = makeTensors(sizes[1], true);
  const order = [2, 0, 3, 1];
  const permuted = (source: Tensor, axis: number): Tensor => {
    const { data, shape } = source;
    const size = sizeOf(shape.slice(axis + 1));
    const count = shape[axis];
    return tensor(
      Float32Array.from(data, (_, flat) => {
        const [inner, index, outer] = [
          flat % size,
          Math.floor(flat / size) % count,
          Math.floor(flat / size / count),
        ];
        return data[(outer * count + order[index]) * size + inner];
      }),
      shape,
    );
  };
  const axes: Record<string, number> = { scores: 3, gate: 0, up: 0, down: 0 };
  const move = (from: Tensors): Tensors =>
    Object.fromEntries(
      Object.entries(from).map(([name, value]) => [name, name in axes ? permuted(value, axes[name]) : value]),
    );
  const rule = mixtralRouting({ capacityFactor: 0.8 });
  const plain = await runMixture(tensors, rule, engine);
  const moved = await runMixture(move(tensors), rule, engine);
  for (const name of Object.keys(plain)) {
    const gradient = tensor(Float32Array.from(plain[name]), tensors[name]?.shape ?? [plain[name].length]);
    expectClose(moved[name], (name in axes ? permuted(gradient, axes[name]) : gradient).data);
  }
});

test("a tape that cannot go backward drops nothing", async () => {
  const { dOut: _, ...tensors } = makeTensors(sizes[1], true);
  const rule = switchRouting({ capacityFactor: 0.1 });
  const outOf = async (rule: RoutingRule, gradient: boolean): Promise<number[]> => {
    const mixture = mixtureOfExperts({ rule, experts: 4, engine });
    const tape = new Tape({ gradient });
    const values = Object.fromEntries(
      Object.entries(tensors).map(([name, value]) => [name, tape.parameter(name, arrayOf(value))]),
    ) as unknown as Parameters<typeof mixture.run>[1];
    const { out } = await mixture.run(tape, values);
    const read = [...(await out.read())];
    tape.dispose();
    mixture.dispose();
    return read;
  };
  const whole = await outOf(switchRouting({ capacityFactor: "none" }), true);
  expect(await outOf(rule, false)).toEqual(whole);
  expect(await outOf(rule, true)).not.toEqual(whole);
});

test("the scores' gradient is the reference's through weights and balance", async () => {
  const tensors = makeTensors(sizes[1], true);
  const rule = switchRouting({ capacityFactor: "none", balance: 0.5 });
  const rows = Array.from({ length: 65 }, (_, token) => [
    ...tensors["scores"].data.subarray(4 * token, 4 * token + 4),
  ]);
  const { gates } = referenceRouting(rows, rule);
  const { out, balance, scores } = await runMixture(tensors, rule, engine);
  // One choice: d(out·dOut)/dg = out·dOut/g.
  const byGates = gates.map(([gate], token) => {
    let sum = 0;
    for (let d = 0; d < 8; d++) sum += out[8 * token + d] * tensors["dOut"].data[8 * token + d];
    return [sum / gate];
  });
  expectClose(scores, referenceRoutingBackward(rows, rule, byGates, 3).flat());
  expectClose(balance, [referenceRouting(rows, rule).balance]);
});
