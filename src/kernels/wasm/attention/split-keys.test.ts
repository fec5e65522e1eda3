/** @file Keys in parts: every weighing over more keys than a part holds, against the reference; threads change no bit. */
import { afterAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../../test/contract/comparison.ts";
import { oneSelectorEach, read } from "../../../../test/contract/legal-selectors.ts";
import { makeProblem } from "../../../../test/contract/problem.ts";
import { wasmPromises } from "../../../../test/contract/wasm-promises.ts";
import { referenceBackward, referenceForward } from "../../../attention/index.ts";
import { tensor64 } from "../../../base/tensor.ts";
import { guards } from "../../../similarities/index.ts";
import { fusedBackward, fusedForward } from "./fused-attention.ts";
import { tileKeys } from "./kernel-spec.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { partsOf, tilesPerPart } from "./split-keys.ts";

const engines = [1, 2, 3].map((threads) => nodeEngine({ threads }));
const [single] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

const keysOfPart = tileKeys * tilesPerPart;
const common = { batch: 1, heads: 2, keyHeads: 1, width: 8, valueWidth: 12 };
/** One row and several, the last part not full. */
const sizes = [
  { ...common, queries: 1, keys: 2 * keysOfPart + 37 },
  { ...common, queries: 5, keys: keysOfPart + 1 },
];

test("long lists of few tasks are cut, others stay whole", () => {
  expect(partsOf(tilesPerPart, 1)).toBe(1);
  expect(partsOf(tilesPerPart + 1, 1)).toBe(2);
  expect(partsOf(4 * tilesPerPart, 4)).toBe(4);
  expect(partsOf(4 * tilesPerPart, 4096)).toBe(1);
  expect(partsOf(0, 1)).toBe(1);
});

/** Sums over so many keys round more often than the contract's. */
const TOLERANCES = { forward: 2e-5, gradient: 5e-4 };

describe.each([
  ...oneSelectorEach,
  "dot+causal+softmax:sink=learned",
  "l2:beta=learned+full+sigmoid",
  "dot+alibi+full+none:map=exp",
  "tropical+causal+none+maxplus",
  "cosine:beta=8+full+topk:k=5+centroid:c=learned",
])("%s", (selector) => {
  const composition = read(selector);
  const slack = wasmPromises.relaxations?.find(({ selectors }) => selectors.test(selector))?.tolerances;
  const forward = Math.max(TOLERANCES.forward, slack?.forward ?? 0);
  const gradient = Math.max(TOLERANCES.gradient, slack?.gradient ?? 0);
  const problems = sizes.map((own) => makeProblem(composition, own, "parts", selector));

  test("equals the reference", () => {
    for (const { inputs, dOut } of problems) {
      const guard = guards.f32;
      const expected = referenceForward(composition, inputs, { guard });
      const extras = expected.lse === undefined ? [] : (["lse"] as const);
      single.arena.poison();
      const { out, lse } = fusedForward(single, composition, inputs, extras);
      expectClose("out", out, expected.out, forward);
      if (expected.lse !== undefined) expectClose("lse", lse, expected.lse, forward);
      const gradients = referenceBackward(composition, inputs, tensor64(dOut.data, dOut.shape), { guard });
      single.arena.poison();
      const actual = fusedBackward(single, composition, inputs, dOut);
      for (const name of ["dq", "dk", "dv"] as const) {
        expectClose(name, actual[name], gradients[name], gradient);
      }
    }
  });

  test("the number of threads changes no bit", () => {
    const numbers = engines.map((engine) =>
      problems.map(({ inputs }) => fusedForward(engine, composition, inputs).out.data),
    );
    for (const other of numbers.slice(1)) expect(other).toEqual(numbers[0]);
  });
});

test("rows without keys are zeros in parts too, with a log-sum-exp of −∞", () => {
  const composition = read("dot+full");
  const { inputs } = makeProblem(composition, sizes[1], "empty");
  const keyless = {
    ...inputs,
    mask: { data: new Uint8Array(5 * sizes[1].keys), shape: [1, 1, 5, sizes[1].keys] },
  };
  const { out, lse } = fusedForward(single, composition, keyless, ["lse"]);
  expect(out.data.every((value) => value === 0)).toBe(true);
  expect(lse!.data.every((value) => value === -Infinity)).toBe(true);
});

test("a single row has the numbers that it has among others", () => {
  const composition = read("l2+full");
  const { inputs } = makeProblem(composition, { ...common, queries: 5, keys: 200, keyHeads: 2 }, "alone");
  const { q, k, v } = inputs;
  const row = (index: number): Float32Array =>
    Float32Array.from(
      { length: 16 },
      (_, flat) => q.data[(Math.floor(flat / 8) * 5 + index) * 8 + (flat % 8)],
    );
  const together = fusedForward(single, composition, { q, k, v }).out.data;
  const alone = fusedForward(single, composition, { q: { data: row(3), shape: [1, 2, 1, 8] }, k, v }).out
    .data;
  expect(alone).toEqual(
    Float32Array.from(
      { length: 24 },
      (_, flat) => together[(Math.floor(flat / 12) * 5 + 3) * 12 + (flat % 12)],
    ),
  );
});
