/** @file Calls whose selection chooses by the vectors, as dense tiles and as masks: against the reference. */
import { afterAll, describe, expect, test, vi } from "vitest";
import { expectClose } from "../../../../test/contract/comparison.ts";
import { read } from "../../../../test/contract/legal-selectors.ts";
import { makeProblem, type Problem } from "../../../../test/contract/problem.ts";
import { type AttentionSizes, referenceBackward, referenceForward } from "../../../attention/index.ts";
import { random } from "../../../base/random.ts";
import { tensor64 } from "../../../base/tensor.ts";
import { choiceArithmetic } from "../../../selections/choice-arithmetic.ts";
import { guards } from "../../../similarities/index.ts";
import { chosenCall } from "./chosen-call.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { fusedBackward, fusedForward } from "../attention/fused-attention.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { choiceOnEngine } from "./wasm-choice.ts";

const engines = [1, 2, 3].map((threads) => nodeEngine({ threads }));
const [single] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

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

describe("as a mask, where the place of a pair is asked for", () => {
  test.each([
    ["a table of distances", "dot+alibi+causal+lsh:buckets=4,rounds=2,chunk=8", sizes],
    ["a learned table", "l2+log-cpb:window=8,hidden=3+causal+moba:block=16,k=2", sizes],
    ["a winning key", "tropical+causal+moba:block=8,k=2+none+maxplus", sizes],
    ["few rows", "dot+rope+causal+lsh:buckets=4,rounds=2,chunk=8", { ...sizes, queries: 9 }],
    ["one row", "dot+causal+moba:block=8,k=2", { ...sizes, queries: 1 }],
  ] as const)("%s: %s", (_, selector, extents) => {
    const problem = drawn(selector, extents);
    expect(isPlanned(problem)).toBe(false);
    expectReference(problem);
  });

  test.each(["lsh:buckets=4,rounds=2,chunk=8", "moba:block=16,k=2"])(
    "a mask, a bias and lengths: %s",
    (selection) => {
      const drawnProblem = makeProblem(read(`dot+causal+${selection}`), sizes, "pairs", selection);
      const problem = { ...drawnProblem, inputs: { ...drawnProblem.inputs, keyLengths: [170, 90] } };
      expect(isPlanned(problem)).toBe(false);
      expectReference(problem);
      expect(isPlanned(drawn(`dot+causal+${selection}`), true)).toBe(false);
      const shown = fusedForward(single, problem.composition, problem.inputs, ["scores", "weights"]);
      const { scores, weights } = referenceForward(problem.composition, problem.inputs, {
        guard: guards.f32,
      });
      expectClose("scores", shown.scores, scores, TOLERANCES.forward);
      expectClose("weights", shown.weights, weights, TOLERANCES.forward);
    },
  );
});

test.each([64, 65, 100, 128])("odd numbers of rows: %d", (length) => {
  for (const [width, valueWidth] of [
    [1, 3],
    [33, 8],
  ]) {
    const extents = { ...sizes, batch: 1, queries: length, keys: length, width, valueWidth };
    for (const selection of ["lsh:buckets=2,rounds=2,chunk=8", "moba:block=10,k=2"]) {
      expectReference(drawn(`dot+causal+${selection}`, extents));
    }
  }
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
  const known = keepsState ? { state } : {};
  const { dq, dk, dv, dParameters } = fusedBackward(engine, composition, inputs, dOut, known);
  return [out, dq, dk, dv, ...Object.values(dParameters)].map(({ data }) => data);
}

test.each([
  "dot:scale=learned+rope+causal+lsh:buckets=4,rounds=3,chunk=8+softmax:sink=learned",
  "l2:beta=learned+causal+moba:block=16,k=2+sigmoid:bias=learned",
])("neither the number of threads nor a state that is computed again changes a bit: %s", (selector) => {
  const problem = drawn(selector);
  const expected = numbersOf(single, problem, true);
  expect(numbersOf(single, problem, false)).toEqual(expected);
  for (const engine of engines.slice(1)) expect(numbersOf(engine, problem, true)).toEqual(expected);
});

test.each(["lsh:buckets=8,rounds=4,chunk=8", "moba:block=16,k=2"])(
  "no output depends on a later token, to the bit: %s",
  (selection) => {
    const { composition, inputs } = drawn(`dot+causal+${selection}`, { ...sizes, queries: 170 });
    const { out } = fusedForward(single, composition, inputs);
    const changed = (data: Float32Array, width: number): Float32Array =>
      data.map((value, at) => (Math.floor(at / width) % 170 < 120 ? value : -3 * value));
    const other = fusedForward(single, composition, {
      ...inputs,
      q: { ...inputs.q, data: changed(inputs.q.data, 12) },
      k: { ...inputs.k, data: changed(inputs.k.data, 12) },
      v: { ...inputs.v, data: changed(inputs.v.data, 10) },
    });
    const early = (data: Float32Array): Float32Array =>
      data.filter((_, at) => Math.floor(at / 10) % 170 < 120);
    expect(early(other.out.data)).toEqual(early(out.data));
    expect(other.out.data).not.toEqual(out.data);
  },
);

test("an engine chooses as the definition does, to the bit", () => {
  for (const engine of engines) {
    const arithmetic = choiceOnEngine(engine);
    for (const [rows, vectors, width] of [
      [1, 1, 1],
      [65, 3, 7],
      [130, 16, 12],
      [67, 33, 64],
    ]) {
      const stream = random("choice", rows);
      // Whole numbers have many ties.
      const whole = (count: number): Float32Array =>
        Float32Array.from({ length: count }, () => stream.integer(5) - 2);
      for (const draw of [whole, (count: number) => stream.normals(count)]) {
        const [x, y, z] = [draw(rows * width), draw(vectors * width), draw(vectors * width)];
        engine.arena.poison();
        expect(arithmetic.products(x, y, width).slice()).toEqual(choiceArithmetic.products(x, y, width));
        engine.arena.poison();
        expect(arithmetic.nearest(x, [y, z], width)).toEqual(choiceArithmetic.nearest(x, [y, z], width));
        const counts = Int32Array.from({ length: rows }, () => stream.integer(vectors + 1));
        for (const choices of [1, 4]) {
          engine.arena.poison();
          expect(arithmetic.largest(x, y, width, counts, choices)).toEqual(
            choiceArithmetic.largest(x, y, width, counts, choices),
          );
        }
      }
    }
  }
});

test("rows of a bucket begin with a tile of their own: a chunk and the one before are two tiles of keys", () => {
  const length = 1024;
  const x = { data: random("buckets").normals(length * 8), shape: [1, 1, length, 8] };
  const inputs = { q: x, k: x, v: x };
  const { plans } = chosenCall(single, read("dot+causal+lsh:buckets=4,rounds=2,chunk=32"), inputs, {
    showsPairs: false,
  });
  const { rowStart } = plans![0].tiles();
  for (let tile = length / 64; tile < rowStart.length - 1; tile++) {
    expect(rowStart[tile + 1] - rowStart[tile]).toBeLessThanOrEqual(2);
  }
});

test("blocks of a longer sequence need no other code, until there are twice as many", () => {
  const engine = nodeEngine({ threads: 1 });
  const run = (length: number): void => {
    const x = { data: random("growing").normals(length * 8), shape: [1, 1, length, 8] };
    fusedForward(engine, read("dot+causal+moba:block=8,k=2"), { q: x, k: x, v: x });
  };
  run(70);
  const compile = vi.spyOn(WebAssembly, "Module");
  for (const length of [80, 100, 128]) run(length);
  expect(compile).not.toHaveBeenCalled();
  compile.mockRestore();
  engine.close();
});

test("memory is that of the kept pairs, not of all", () => {
  const engine = nodeEngine({ threads: 1 });
  const extents = { ...sizes, batch: 1, heads: 1, queries: 8192, keys: 8192, width: 8, valueWidth: 8 };
  const stream = random("long");
  const x = { data: stream.normals(8192 * 8), shape: [1, 1, 8192, 8] };
  fusedForward(engine, read("dot+causal+lsh:buckets=64,rounds=2,chunk=32"), { q: x, k: x, v: x });
  fusedForward(engine, read("dot+causal+moba:block=128,k=2"), { q: x, k: x, v: x });
  // One bit a pair would be 8 MiB, one byte 64.
  expect(engine.arena.sizeBytes).toBeLessThan(1.2 * extents.queries * 1024 * 1.5);
  engine.close();
});
