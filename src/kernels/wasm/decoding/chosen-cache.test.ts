/** @file Caches whose selection chooses by the vectors, and those of windows, against the reference: outputs, memory, refusals. */
import { afterAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../../test/contract/comparison.ts";
import { read } from "../../../../test/contract/legal-selectors.ts";
import { normals, variedParameters } from "../../../../test/contract/problem.ts";
import { wasmPromises } from "../../../../test/contract/wasm-promises.ts";
import { type Composition, referenceForward } from "../../../attention/index.ts";
import { random } from "../../../base/random.ts";
import { narrow, type Tensor } from "../../../base/tensor.ts";
import { guards } from "../../../similarities/index.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { type KeyValueCache, wasmCache } from "./key-value-cache.ts";
import { rowsBetween } from "./rows-between.ts";

const engines = [nodeEngine({ threads: 1 }), nodeEngine({ threads: 2 })] as const;
const [single, double] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

const sizes = { batch: 2, heads: 2, keyHeads: 1, width: 8, valueWidth: 6 };
/** As the contract's, with more keys a row. */
const TOLERANCE = 2e-5;

function sequence(composition: Composition, count: number, ...keys: readonly string[]) {
  const stream = random("chosen cache", ...keys);
  const { batch, heads, keyHeads, width, valueWidth } = sizes;
  return {
    q: normals(stream, [batch, heads, count, width]),
    k: normals(stream, [batch, keyHeads, count, width]),
    v: normals(stream, [batch, keyHeads, count, valueWidth]),
    parameters: variedParameters(composition, { ...sizes, queries: count, keys: count }, stream),
  };
}
type Sequence = ReturnType<typeof sequence>;

const between = (given: Sequence, first: number, stop: number): readonly [Tensor, Tensor, Tensor] => [
  rowsBetween(given.q, first, stop),
  rowsBetween(given.k, first, stop),
  rowsBetween(given.v, first, stop),
];

const selectors = [
  "dot+causal+lsh:buckets=4,rounds=2,chunk=8",
  "dot+rope+causal+lsh:buckets=6,rounds=3,chunk=4,seed=2",
  "l2:beta=learned+alibi+causal+lsh:buckets=1,rounds=1,chunk=70",
  "mahalanobis+causal+window:w=40+lsh:buckets=2,rounds=2,chunk=16+centroid:c=learned",
  "dot+causal+moba:block=8,k=2+sigmoid:bias=-3",
  "complex:part=im+rope:layout=interleaved+causal+moba:block=40,k=1",
  "poincare:beta=learned,c=learned+log-cpb:window=8,hidden=5+causal+moba:block=5,k=3+softmax:sink=learned",
  "dot+rope+causal+window:w=5",
  "cosine:beta=8+alibi+causal+window:w=70+topk:k=3",
  "l1+strided:stride=3,local=2+window:w=20",
];

test.each(selectors)("tokens that come one by one or together are those of the reference: %s", (selector) => {
  const composition = read(selector);
  const given = sequence(composition, 110, selector);
  const { q, k, v, parameters } = given;
  const slack = wasmPromises.relaxations?.find(({ selectors: of }) => of.test(selector))?.tolerances;
  const tolerance = Math.max(TOLERANCE, slack?.forward ?? 0);
  const whole = narrow(referenceForward(composition, { q, k, v, parameters }, { guard: guards.f32 }).out);
  const run = (engine: typeof single, counts: readonly number[], isChecked: boolean): Float32Array[] => {
    const cache = wasmCache(engine, composition, { ...sizes, capacity: 1, parameters });
    const outs: Float32Array[] = [];
    for (const count of counts) {
      engine.arena.poison();
      const first = cache.length;
      const { out } = cache.take(...between(given, first, first + count));
      if (isChecked) expectClose(`from ${first}`, out, rowsBetween(whole, first, first + count), tolerance);
      outs.push(out.data);
    }
    cache.dispose();
    return outs;
  };
  const counts = [1, 1, 7, 1, 53, 1, 1, 1, 44];
  const outs = run(single, counts, true);
  expect(run(double, counts, false)).toEqual(outs);
  run(single, [96, 1, 13], true);
});

describe("a window's cache", () => {
  const open = (selector: string, engine = single): KeyValueCache => wasmCache(engine, read(selector), sizes);

  test("stops growing: its memory is that of its window and a tile", () => {
    const selector = "dot+causal+window:w=70";
    const given = sequence(read(selector), 1000, selector);
    const mark = single.arena.mark;
    const cache = open(selector);
    cache.take(...between(given, 0, 200));
    const { sizeBytes } = cache;
    expect(cache.capacity).toBe(192);
    const arenaBytes = single.arena.sizeBytes;
    cache.take(...between(given, 200, 900));
    for (let place = 900; place < 1000; place++) cache.take(...between(given, place, place + 1));
    expect([cache.length, cache.sizeBytes, single.arena.sizeBytes]).toEqual([1000, sizeBytes, arenaBytes]);
    expect(cache.size).toBe(2 * 70 * (8 + 6));
    cache.dispose();
    expect([cache.size, single.arena.mark]).toEqual([0, mark]);
  });

  test("says what it has forgotten", () => {
    const selector = "dot+causal+window:w=5";
    const given = sequence(read(selector), 300, selector);
    const cache = open(selector);
    cache.take(...between(given, 0, 290));
    expect(() => cache.attend(rowsBetween(given.q, 90, 290))).toThrow(
      /200 queries, length 290, and places before 184 were forgotten/,
    );
    expect(() => cache.truncate(100)).toThrow(/find the keys of its window: length 100/);
    cache.truncate(288);
    const again = cache.take(...between(given, 288, 300)).out;
    cache.truncate(0);
    expect([cache.length, cache.size]).toEqual([0, 0]);
    const whole = cache.take(...between(given, 0, 300)).out;
    expectClose("the last tokens", again, rowsBetween(whole, 288, 300), TOLERANCE);
    cache.dispose();
  });
});

describe("a chosen cache", () => {
  test("begins again after it was emptied, and otherwise is not cut, nor asked from several places", () => {
    const selector = "dot+causal+lsh:buckets=2,rounds=2,chunk=4";
    const given = sequence(read(selector), 20, selector);
    const cache = wasmCache(single, read(selector), sizes);
    const first = cache.take(...between(given, 0, 20));
    expect(cache.size).toBe(2 * 20 * (8 + 6 + 2));
    const refusal = expect.objectContaining({ name: "UnsupportedError", code: "cache-selection" });
    expect(() => cache.truncate(10)).toThrow(refusal);
    expect(() => cache.attend(rowsBetween(given.q, 18, 20))).toThrow(refusal);
    cache.truncate(0);
    expect(cache.take(...between(given, 0, 20))).toEqual(first);
    cache.dispose();
  });

  test.each([
    ["dot+full+lsh:buckets=2", "the pattern is not causal"],
    ["dot+rope:scaling=xpos+causal+lsh:buckets=2", "length of the whole sequence"],
  ])("is not made of %s", (selector, reason) => {
    expect(() => wasmCache(single, read(selector), sizes)).toThrow(reason);
  });
});
