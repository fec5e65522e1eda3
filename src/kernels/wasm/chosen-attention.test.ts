/** @file Calls whose selection chooses by the vectors, as dense tiles and as masks: against the reference. */
import { afterAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../test/contract/comparison.ts";
import { makeProblem, type Problem } from "../../../test/contract/problem.ts";
import {
  type AttentionSizes,
  compose,
  type Composition,
  parseSelector,
  referenceBackward,
  referenceForward,
} from "../../attention/index.ts";
import { tensor64 } from "../../base/tensor.ts";
import { guards } from "../../similarities/index.ts";
import { chosenCall } from "./chosen-call.ts";
import { type WasmEngine } from "./engine.ts";
import { fusedBackward, fusedForward } from "./fused-attention.ts";
import { nodeEngine } from "./pool.node.ts";

const engines = [1, 2, 3].map((threads) => nodeEngine({ threads }));
const [single] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
}

const sizes: AttentionSizes = {
  batch: 2,
  heads: 2,
  keyHeads: 1,
  queries: 150,
  keys: 170,
  width: 12,
  valueWidth: 10,
};

/** A random call without tensors of pairs; queries are the last of the keys. */
function drawn(selector: string, extents: AttentionSizes = sizes): Problem {
  const { composition, inputs, dOut } = makeProblem(read(selector), extents, "chosen", selector);
  const { mask: _, bias: __, keyLengths: ___, ...rest } = inputs;
  return { composition, inputs: { ...rest, offset: extents.keys - extents.queries }, dOut };
}

/** As for many tiles: some 200 roundings a number forward; sums over all pairs backward. */
const TOLERANCES = { forward: 2e-5, gradient: 5e-4 };

function expectReference({ composition, inputs, dOut }: Problem, engine: WasmEngine = single): void {
  const guard = guards.f32;
  const reference = referenceForward(composition, inputs, { guard });
  const gradients = referenceBackward(composition, inputs, tensor64(dOut.data, dOut.shape), { guard });
  const hasLogSumExp = composition.normaliser.name === "softmax";
  engine.arena.poison();
  const result = fusedForward(engine, composition, inputs, hasLogSumExp ? ["lse"] : []);
  engine.arena.poison();
  const actual = fusedBackward(engine, composition, inputs, dOut, { state: result.state });
  expectClose("out", result.out, reference.out, TOLERANCES.forward);
  if (hasLogSumExp) expectClose("lse", result.lse, reference.lse!, TOLERANCES.forward);
  for (const name of ["dq", "dk", "dv"] as const) {
    expectClose(name, actual[name], gradients[name], TOLERANCES.gradient);
  }
  for (const [name, expected] of Object.entries(gradients.dParameters)) {
    // A sum over all pairs is as exact as the sum of their sizes.
    expectClose(name, actual.dParameters[name], expected, TOLERANCES.gradient, 1);
  }
}

const isPlanned = ({ composition, inputs }: Problem, showsPairs = false): boolean =>
  chosenCall(single, composition, inputs, { showsPairs }).plans !== undefined;

describe.each([
  "dot:scale=learned+causal+lsh:buckets=4,rounds=3,chunk=8",
  "dot+rope+full+lsh:buckets=6,rounds=2,chunk=16,seed=3",
  "mahalanobis+causal+lsh:buckets=2,rounds=2,chunk=5+softmax:sink=learned",
  "poincare:c=learned+causal+lsh:buckets=4,rounds=4,chunk=70+sigmoid:bias=learned",
  "l2:beta=learned+window:w=40+lsh:buckets=2,rounds=3,chunk=20",
  "complex:part=abs+strided:stride=3,local=8+lsh:buckets=2,rounds=2,chunk=20+none:map=exp",
  "dot+causal+lsh:buckets=1,rounds=2,chunk=200+centroid:c=learned",
  "dot:scale=learned+causal+moba:block=16,k=2",
  "dot+rope+causal+moba:block=64,k=1+softmax:sink=learned",
  "l1:beta=learned+causal+moba:block=7,k=3",
  "cosine+causal+moba:block=5,k=64+sigmoid",
  "mahalanobis+causal+window:w=50+moba:block=9,k=2+none",
  "lorentz:c=learned+fixed:block=16,columns=4+moba:block=24,k=1+centroid:c=learned",
])("%s", (selector) => {
  test("as tiles equals the reference", () => {
    const problem = drawn(selector);
    expect(isPlanned(problem)).toBe(true);
    expectReference(problem);
  });
});
