/** @file Fused kernels beyond the contract: threads, memory, ties, refusals, sizes that span many tiles. */
import { afterAll, describe, expect, test } from "vitest";
import { compose, type Composition, parseSelector } from "../../../attention/index.ts";
import { expectClose } from "../../../../test/contract/comparison.ts";
import { makeProblem, normals, type Problem } from "../../../../test/contract/problem.ts";
import { referenceBackward, referenceForward } from "../../../attention/index.ts";
import { random } from "../../../base/random.ts";
import { type Tensor, tensor64 } from "../../../base/tensor.ts";
import { guards } from "../../../similarities/index.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { fusedBackward, fusedForward } from "./fused-attention.ts";
import { nodeEngine } from "../engine/pool.node.ts";

function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
}

const engines = [1, 2, 3].map((threads) => nodeEngine({ threads }));
const [single] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

/** All numbers of a call, forward and backward. */
function numbersOf(engine: WasmEngine, { composition, inputs, dOut }: Problem): readonly Float32Array[] {
  engine.arena.poison();
  const { out, state } = fusedForward(engine, composition, inputs);
  engine.arena.poison();
  const { dq, dk, dv, dParameters } = fusedBackward(engine, composition, inputs, dOut, { state });
  return [out, dq, dk, dv, ...Object.values(dParameters)].map(({ data }) => data);
}

/** Several row tiles and key tiles, the last of each not full. */
const sizes = { batch: 1, heads: 2, keyHeads: 1, queries: 150, keys: 203, width: 24, valueWidth: 20 };

const selectors = [
  "dot:scale=learned+rope+causal",
  "l2:beta=learned+window:w=40+causal",
  "poincare:c=learned+strided:stride=16,local=8",
  "l1:beta=learned+fixed:block=64,columns=4",
  "complex:part=abs+full+sigmoid:bias=learned",
  "product:members=poincare/poincare(c=2)/lorentz/lorentz-distance/cosine/l2+full",
  "cosine:beta=learned+alibi+causal+topk:k=9+softmax:sink=learned",
  "mahalanobis+log-cpb:window=8,hidden=5+causal+centroid:c=learned",
  "tropical:beta=learned+block:size=32,list=0-0/1-1/2-0/2-5/4-3+none+maxplus",
];

/** As in the contract: some 200 roundings a number forward; sums over all pairs backward. */
const TOLERANCES = { forward: 2e-5, gradient: 5e-4 };

describe.each(selectors)("%s", (selector) => {
  const problem = makeProblem(read(selector), sizes, "many tiles", selector);

  test("equals the reference over many tiles", () => {
    const { composition, inputs, dOut } = problem;
    const guard = guards.f32;
    const reference = referenceForward(composition, inputs, { guard });
    const gradients = referenceBackward(composition, inputs, tensor64(dOut.data, dOut.shape), { guard });
    const result = fusedForward(single, composition, inputs, ["scores"]);
    const actual = fusedBackward(single, composition, inputs, dOut);
    expectClose("out", result.out, reference.out, TOLERANCES.forward);
    expectClose("scores", result.scores, reference.scores, TOLERANCES.forward);
    for (const name of ["dq", "dk", "dv"] as const)
      expectClose(name, actual[name], gradients[name], TOLERANCES.gradient);
    for (const [name, expected] of Object.entries(gradients.dParameters)) {
      // A sum over all pairs is as exact as the sum of their sizes.
      expectClose(name, actual.dParameters[name], expected, TOLERANCES.gradient, 1);
    }
  });

  test("the number of threads changes no bit", () => {
    const expected = numbersOf(single, problem);
    for (const engine of engines.slice(1)) expect(numbersOf(engine, problem)).toEqual(expected);
  });
});

test("repeated calls do not grow the memory", () => {
  const problem = makeProblem(read("l2+causal"), sizes, "memory");
  numbersOf(single, problem);
  const before = single.arena.sizeBytes;
  for (let call = 0; call < 50; call++) numbersOf(single, problem);
  expect(single.arena.sizeBytes).toBe(before);
});

test("of equal scores top-k keeps the first", () => {
  const stream = random("ties");
  const zeros: Tensor = { data: new Float32Array(70 * 8), shape: [1, 1, 70, 8] };
  const v = normals(stream, [1, 1, 70, 8]);
  const composition = read("dot+causal+topk:k=3");
  const { weights } = fusedForward(single, composition, { q: zeros, k: zeros, v }, ["weights"]);
  const lastRow = [...weights!.data.subarray(69 * 70)];
  expect(lastRow.map((weight) => weight > 0)).toEqual(lastRow.map((_, key) => key < 3));
});

test("a call beyond 4 GiB is refused before it starts", () => {
  const huge = { data: new Float32Array(0), shape: [64, 64, 4096, 128] };
  expect(() => fusedForward(single, read("dot+full"), { q: huge, k: huge, v: huge })).toThrow(
    /at most 4 GiB/,
  );
  expect(single.arena.mark).toBeLessThan(1024);
});

test("a normaliser of somebody's own is refused by name", () => {
  const composition = read("dot+full");
  const own = { ...composition, normaliser: { ...composition.normaliser, name: "entmax" } };
  const q = normals(random("own"), [1, 1, 2, 8]);
  expect(() => fusedForward(single, own, { q, k: q, v: q })).toThrow(/'entmax'\. Use the device jax/);
});

test("gradients without the forward's state are the same", () => {
  const { composition, inputs, dOut } = makeProblem(read("cauchy+causal"), sizes, "state");
  const { state } = fusedForward(single, composition, inputs);
  const [kept, again] = [{ state }, {}].map((given) =>
    fusedBackward(single, composition, inputs, dOut, given),
  );
  expect(again.dq.data).toEqual(kept.dq.data);
});

test("gradients of parameters that nobody learns are left out, and the others stay as they are", () => {
  const { composition, inputs, dOut } = makeProblem(read("poincare:c=learned+causal"), sizes, "learned");
  const [all, some] = [{}, { learned: ["c"] }].map((given) =>
    fusedBackward(single, composition, inputs, dOut, given),
  );
  expect(Object.keys(some.dParameters)).toEqual(["c"]);
  expect(some.dParameters["c"].data).toEqual(all.dParameters["c"].data);
  expect(some.dq.data).toEqual(all.dq.data);
});
