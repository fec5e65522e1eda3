/** @file Calls of strided and fixed patterns by their rearrangement: against the reference, against the plan of the pattern as it is. */
import { afterAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../../test/contract/comparison.ts";
import { read } from "../../../../test/contract/legal-selectors.ts";
import { makeProblem, type Problem } from "../../../../test/contract/problem.ts";
import {
  type AttentionInputs,
  type AttentionSizes,
  type Composition,
  type ExtraOutput,
  referenceBackward,
  referenceForward,
} from "../../../attention/index.ts";
import { type Tensor, tensor64 } from "../../../base/tensor.ts";
import { guards } from "../../../similarities/index.ts";
import { callPlan } from "./call-plan.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { fusedBackward, fusedForward } from "./fused-attention.ts";
import { nodeEngine } from "../engine/pool.node.ts";

const engines = [1, 2, 3].map((threads) => nodeEngine({ threads }));
const [single] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

/** Long enough to be rearranged; queries are the last of the keys, and share them. */
const sizes: AttentionSizes = {
  batch: 1,
  heads: 2,
  keyHeads: 1,
  queries: 900,
  keys: 960,
  width: 12,
  valueWidth: 10,
};

/** A random call without tensors of pairs, which stand in the way of a rearrangement. */
function drawn(selector: string, extents: AttentionSizes = sizes): Problem {
  const { composition, inputs, dOut } = makeProblem(read(selector), extents, "rearranged", selector);
  const { mask: _, bias: __, ...rest } = inputs;
  return { composition, inputs: rest, dOut };
}

/** The same call with lengths that leave out no key, so that the plan of the pattern as it is computes it. */
const asItIs = (inputs: AttentionInputs<Tensor>): AttentionInputs<Tensor> => ({
  ...inputs,
  keyLengths: Array.from({ length: inputs.q.shape[0] }, () => inputs.k.shape[2]),
});

function isRearranged(
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  showsPairs = false,
): boolean {
  const extents = { queries: inputs.q.shape[2], keys: inputs.k.shape[2] };
  return callPlan({ composition, inputs }, extents, showsPairs).rearrangement !== undefined;
}

const selectors = [
  "dot:scale=learned+rope+strided:stride=16,local=8",
  "dot+rope+fixed:block=16,columns=2+causal",
  "poincare:c=learned+strided:stride=24,local=40+softmax:sink=learned",
  "l2:beta=learned+fixed:block=24,columns=3+softmax:sink=learned",
  "mahalanobis+strided:stride=16,local=16+causal+sigmoid:bias=learned",
  "complex:part=abs+fixed:block=16,columns=1,part=columns+sigmoid:bias=learned",
  "l1:beta=learned+strided:stride=16,local=4+none:map=exp",
  "complex:part=im+fixed:block=16,columns=2+none",
  "lorentz:c=learned+strided:stride=20,local=24+centroid:c=learned",
  "cosine:beta=learned+fixed:block=20,columns=3+sigmoid+centroid:c=learned",
  "product:members=poincare/l2/cosine+strided:stride=16,local=8",
];

/** As for many tiles: some 200 roundings a number forward; sums over all pairs backward. */
const TOLERANCES = { forward: 2e-5, gradient: 5e-4 };

describe.each(selectors)("%s", (selector) => {
  // Heads that share keys cost the reference twice the time: some selectors show it.
  const heads = selector.includes("rope") ? 2 : 1;
  const { composition, inputs, dOut } = drawn(selector, { ...sizes, heads });
  const guard = guards.f32;

  test("is rearranged, and equals the reference", () => {
    expect(isRearranged(composition, inputs)).toBe(true);
    const reference = referenceForward(composition, inputs, { guard });
    const gradients = referenceBackward(composition, inputs, tensor64(dOut.data, dOut.shape), { guard });
    single.arena.poison();
    const result = fusedForward(single, composition, inputs, ["lse"]);
    single.arena.poison();
    const actual = fusedBackward(single, composition, inputs, dOut, { state: result.state });
    expectClose("out", result.out, reference.out, TOLERANCES.forward);
    if (composition.normaliser.name === "softmax") {
      expectClose("lse", result.lse, reference.lse!, TOLERANCES.forward);
    }
    for (const name of ["dq", "dk", "dv"] as const)
      expectClose(name, actual[name], gradients[name], TOLERANCES.gradient);
    for (const [name, expected] of Object.entries(gradients.dParameters)) {
      // A sum over all pairs is as exact as the sum of their sizes.
      expectClose(name, actual.dParameters[name], expected, TOLERANCES.gradient, 1);
    }
  });

  test("equals the plan of the pattern as it is, with the other's state too", () => {
    expect(isRearranged(composition, asItIs(inputs))).toBe(false);
    const [ours, other] = [inputs, asItIs(inputs)].map((given) => fusedForward(single, composition, given));
    expectClose("out", ours.out, tensor64(other.out.data, other.out.shape), TOLERANCES.forward);
    const gradients = fusedBackward(single, composition, asItIs(inputs), dOut, { state: ours.state });
    const again = fusedBackward(single, composition, inputs, dOut, { state: other.state });
    for (const name of ["dq", "dk", "dv"] as const) {
      const expected = tensor64(gradients[name].data, gradients[name].shape);
      expectClose(name, again[name], expected, TOLERANCES.gradient);
    }
  });
});

/** All numbers of a call, forward and backward, on memory full of NaN. */
function numbersOf(
  engine: WasmEngine,
  { composition, inputs, dOut }: Problem,
  keepsState: boolean,
): Float32Array[] {
  engine.arena.poison();
  const { out, state } = fusedForward(engine, composition, inputs);
  engine.arena.poison();
  const { dq, dk, dv, dParameters } = fusedBackward(
    engine,
    composition,
    inputs,
    dOut,
    keepsState ? { state } : {},
  );
  return [out, dq, dk, dv, ...Object.values(dParameters)].map(({ data }) => data);
}

test.each([
  "dot:scale=learned+rope+strided:stride=16,local=8+softmax:sink=learned+centroid",
  "l2:beta=learned+fixed:block=24,columns=3+sigmoid:bias=learned",
])("neither the number of threads nor a state that is computed again changes a bit: %s", (selector) => {
  const problem = drawn(selector, { ...sizes, batch: 2 });
  expect(isRearranged(problem.composition, problem.inputs)).toBe(true);
  const expected = numbersOf(single, problem, true);
  expect(numbersOf(single, problem, false)).toEqual(expected);
  for (const engine of engines.slice(1)) expect(numbersOf(engine, problem, true)).toEqual(expected);
});

test.each(["strided:stride=64,local=16", "fixed:block=32,columns=2"])(
  "rows that see no key are 0, and far rows see what the pattern allows: %s",
  (pattern) => {
    const extents = { ...sizes, queries: 1150, keys: 1100 };
    const { composition, inputs, dOut } = drawn(`dot+${pattern}+softmax:sink=1`, extents);
    for (const offset of [-100, 300]) {
      const moved = { ...inputs, offset };
      expect(isRearranged(composition, moved)).toBe(true);
      const reference = referenceForward(composition, moved, { guard: guards.f32 });
      const gradients = referenceBackward(composition, moved, tensor64(dOut.data, dOut.shape), {
        guard: guards.f32,
      });
      single.arena.poison();
      const { out } = fusedForward(single, composition, moved);
      const actual = fusedBackward(single, composition, moved, dOut);
      expectClose("out", out, reference.out, TOLERANCES.forward);
      for (const name of ["dq", "dk", "dv"] as const)
        expectClose(name, actual[name], gradients[name], TOLERANCES.gradient);
    }
  },
);

test("who asks for scores gets them in the order of rows and keys", () => {
  const { composition, inputs } = drawn("l2+strided:stride=16,local=8");
  const extras: readonly ExtraOutput[] = ["scores", "weights", "lse"];
  expect(isRearranged(composition, inputs, true)).toBe(false);
  const shown = fusedForward(single, composition, inputs, extras);
  const reference = referenceForward(composition, inputs, { guard: guards.f32 });
  const plain = fusedForward(single, composition, inputs);
  expectClose("scores", shown.scores, reference.scores, TOLERANCES.forward);
  expectClose("out", shown.out, tensor64(plain.out.data, plain.out.shape), TOLERANCES.forward);
});

describe("a call is left as it is", () => {
  const pattern = "strided:stride=16,local=8";
  test.each([
    ["when its pattern has no rearrangement", "dot+causal+window:w=16"],
    ["when another pattern cuts it", `dot+${pattern}+window:w=100`],
    ["when two patterns ask for an order", `dot+${pattern}+fixed:block=16,columns=2`],
    ["when a table asks for distances", `dot+alibi+${pattern}`],
    ["when a selection asks for all scores of a row", `dot+${pattern}+topk:k=5`],
    ["when a maximum names a key", `tropical+${pattern}+none+maxplus`],
    ["when the window is most of it", "dot+strided:stride=700,local=500"],
    ["when all columns of a block are summaries", "dot+fixed:block=16,columns=16"],
  ])("%s", (_, selector) => {
    const { composition, inputs } = drawn(selector);
    expect(isRearranged(composition, inputs)).toBe(false);
  });

  test("with a mask, a bias or lengths of keys", () => {
    const { composition, inputs } = makeProblem(read(`dot+${pattern}`), sizes, "pairs");
    const { mask, bias, ...rest } = inputs;
    expect(isRearranged(composition, rest)).toBe(true);
    expect(isRearranged(composition, { ...rest, mask: mask! })).toBe(false);
    expect(isRearranged(composition, { ...rest, bias: bias! })).toBe(false);
    expect(isRearranged(composition, asItIs(rest))).toBe(false);
  });

  test("with few rows or few tiles", () => {
    const { composition } = drawn(`dot+${pattern}`);
    const ofSizes = (queries: number, keys: number): boolean =>
      isRearranged(composition, drawn(`dot+${pattern}`, { ...sizes, queries, keys }).inputs);
    expect(ofSizes(1, 1000)).toBe(false);
    expect(ofSizes(63, 1000)).toBe(false);
    expect(ofSizes(128, 128)).toBe(false);
  });
});
