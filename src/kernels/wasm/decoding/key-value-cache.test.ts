/** @file The key/value cache against the reference: token by token, across borders of tiles and capacity, and its memory. */
import { afterAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../../test/contract/comparison.ts";
import { oneSelectorEach, read } from "../../../../test/contract/legal-selectors.ts";
import { normals, variedParameters } from "../../../../test/contract/problem.ts";
import { wasmPromises } from "../../../../test/contract/wasm-promises.ts";
import { type Composition, referenceForward } from "../../../attention/index.ts";
import { reachOf } from "../../../attention/reach.ts";
import { random } from "../../../base/random.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { guards } from "../../../similarities/index.ts";
import { type KeyValueCache, wasmCache } from "./key-value-cache.ts";
import { nodeEngine } from "../engine/pool.node.ts";

const engines = [1, 2, 3].map((threads) => nodeEngine({ threads }));
const [single, double] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

const sizes = { batch: 2, heads: 4, keyHeads: 2, width: 8, valueWidth: 6 };
type Sizes = typeof sizes;

/** Places [first, stop) of a [B, heads, N, width] tensor. */
function placesOf({ data, shape }: Tensor, first: number, stop: number): Tensor {
  const [batch, heads, count, width] = shape;
  const cut = new Float32Array(batch * heads * (stop - first) * width);
  for (let head = 0; head < batch * heads; head++) {
    cut.set(
      data.subarray((head * count + first) * width, (head * count + stop) * width),
      head * (stop - first) * width,
    );
  }
  return { data: cut, shape: [batch, heads, stop - first, width] };
}

/** A sequence of `count` places, and parameters away from their initial values. */
function sequence(
  composition: Composition,
  count: number,
  own: Sizes,
  ...keys: readonly (string | number)[]
) {
  const stream = random("cache", ...keys);
  const { batch, heads, keyHeads, width, valueWidth } = own;
  const parameters = variedParameters(composition, { ...own, queries: count, keys: count }, stream);
  return {
    q: normals(stream, [batch, heads, count, width]),
    k: normals(stream, [batch, keyHeads, count, width]),
    v: normals(stream, [batch, keyHeads, count, valueWidth]),
    parameters,
  };
}
type Sequence = ReturnType<typeof sequence>;

function cacheOf(
  engine: typeof single,
  composition: Composition,
  { parameters }: Sequence,
  own: Sizes,
  capacity = 1,
) {
  return wasmCache(engine, composition, { ...own, capacity, parameters });
}

function appendTo(cache: KeyValueCache, { k, v }: Sequence, stop: number): void {
  const first = cache.length;
  cache.append(placesOf(k, first, stop), placesOf(v, first, stop));
}

/** The reference over the first `length` places, queries at the last ones. */
function expected(
  composition: Composition,
  { q, k, v, parameters }: Sequence,
  length: number,
  queries: number,
) {
  const inputs = {
    q: placesOf(q, length - queries, length),
    k: placesOf(k, 0, length),
    v: placesOf(v, 0, length),
    offset: length - queries,
    parameters,
  };
  return referenceForward(composition, inputs, { guard: guards.f32 });
}

/** As the contract's, with more keys a row. */
const TOLERANCE = 2e-5;

function expectAttended(
  selector: string,
  cache: KeyValueCache,
  given: Sequence,
  queries: number,
  engine: typeof single,
): Float32Array {
  const composition = read(selector);
  const slack = wasmPromises.relaxations?.find(({ selectors }) => selectors.test(selector))?.tolerances;
  const tolerance = Math.max(TOLERANCE, slack?.forward ?? 0);
  engine.arena.poison();
  const reference = expected(composition, given, cache.length, queries);
  const q = placesOf(given.q, cache.length - queries, cache.length);
  const { out, lse } = cache.attend(q, reference.lse === undefined ? {} : { return: ["lse"] });
  expectClose(`out at length ${cache.length}`, out, reference.out, tolerance);
  if (reference.lse !== undefined) expectClose("lse", lse, reference.lse, tolerance);
  return out.data;
}

const selectors = [
  ...oneSelectorEach.filter((selector) => !/lsh|moba/.test(selector)),
  "dot+rope+causal",
  "dot+rope:scaling=xpos+causal",
  "l2:beta=learned+causal+window:w=5",
  "dot+alibi+strided:stride=3,local=2",
  "cosine:beta=8+fixed:block=4,columns=1",
  "dot+log-cpb:window=8,hidden=5+causal+topk:k=3",
  "mahalanobis+causal+centroid:c=learned",
  "tropical+causal+none+maxplus",
  "dot+causal+sigmoid",
];

describe.each(selectors)("%s", (selector) => {
  const composition = read(selector);

  test("token by token equals the reference", () => {
    const given = sequence(composition, 20, sizes, selector);
    const cache = cacheOf(single, composition, given, sizes);
    for (let length = 1; length <= 20; length++) {
      single.arena.poison();
      appendTo(cache, given, length);
      expectAttended(selector, cache, given, 1, single);
    }
    expectAttended(selector, cache, given, 7, single);
    cache.dispose();
  });

  test("at borders of tiles and panels, through growth, with any number of threads", () => {
    const own = { ...sizes, batch: 1, heads: 2, keyHeads: 1 };
    const given = sequence(composition, 130, own, "borders", selector);
    const numbers = engines.map((engine) => {
      const cache = cacheOf(engine, composition, given, own, 3);
      const outs = [1, 7, 8, 9, 63, 64, 65, 129].map((length) => {
        engine.arena.poison();
        appendTo(cache, given, length);
        const queries = length === 65 ? 5 : 1;
        if (engine === double) return expectAttended(selector, cache, given, queries, engine);
        return cache.attend(placesOf(given.q, length - queries, length)).out.data;
      });
      expect(cache.capacity).toBe(reachOf(composition) === undefined ? 256 : 128);
      cache.dispose();
      return outs;
    });
    for (const other of numbers.slice(1)) expect(other).toEqual(numbers[0]);
  });
});

test("the rows of a causal attention over the whole sequence, in parts of the keys", () => {
  const own = { batch: 1, heads: 2, keyHeads: 2, width: 8, valueWidth: 8 };
  const selector = "l2:beta=learned+rope+causal";
  const given = sequence(read(selector), 2200, own, "long");
  const numbers = engines.map((engine) => {
    const cache = cacheOf(engine, read(selector), given, own);
    appendTo(cache, given, 2199);
    appendTo(cache, given, 2200);
    const out = expectAttended(selector, cache, given, 2, engine);
    cache.dispose();
    return out;
  });
  for (const other of numbers.slice(1)) expect(other).toEqual(numbers[0]);
});

test("what was dropped is forgotten, and may be appended again", () => {
  const selector = "l2+causal";
  const given = sequence(read(selector), 40, sizes, "truncate");
  const other = sequence(read(selector), 40, sizes, "other");
  const cache = cacheOf(single, read(selector), given, sizes);
  appendTo(cache, given, 10);
  appendTo(cache, other, 40);
  cache.truncate(10);
  expectAttended(selector, cache, given, 3, single);
  appendTo(cache, given, 23);
  expectAttended(selector, cache, given, 1, single);
  cache.truncate(0);
  expect(cache.length).toBe(0);
  cache.dispose();
});

test.each([
  [0, 1],
  [1, 0],
])("two caches beside each other, number %i disposed first", (first) => {
  const selector = "dot+rope+causal";
  const givens = [0, 1].map((number) => sequence(read(selector), 300, sizes, "two", number));
  const caches = givens.map((given) => cacheOf(double, read(selector), given, sizes));
  const mark = double.arena.mark;
  for (const length of [5, 100, 299])
    caches.forEach((cache, number) => appendTo(cache, givens[number], length));
  caches.forEach((cache, number) => expectAttended(selector, cache, givens[number], 2, double));
  caches[first].dispose();
  caches[first].dispose();
  appendTo(caches[1 - first], givens[1 - first], 300);
  expectAttended(selector, caches[1 - first], givens[1 - first], 1, double);
  caches[1 - first].dispose();
  expect(double.arena.mark).toBeLessThan(mark);
});

test("a hundred caches made and disposed leave the memory as it was", () => {
  const selector = "dot+alibi+causal";
  const given = sequence(read(selector), 70, sizes, "rounds");
  const round = (): void => {
    const caches = [0, 1].map(() => cacheOf(single, read(selector), given, sizes));
    for (const cache of caches) {
      appendTo(cache, given, 70);
      cache.attend(placesOf(given.q, 69, 70));
    }
    for (const cache of caches) cache.dispose();
  };
  const mark = single.arena.mark;
  round();
  const { sizeBytes } = single.arena;
  for (let count = 0; count < 100; count++) round();
  expect(single.arena.sizeBytes).toBe(sizeBytes);
  expect(single.arena.mark).toBe(mark);
});

test("parameters may change from call to call, tables with them", () => {
  const selector = "dot:scale=learned+log-cpb:window=8,hidden=5+causal";
  const given = sequence(read(selector), 12, sizes, "first");
  const { parameters } = sequence(read(selector), 12, sizes, "second");
  const cache = cacheOf(single, read(selector), given, sizes);
  appendTo(cache, given, 12);
  const q = placesOf(given.q, 11, 12);
  const { out } = cache.attend(q, { parameters });
  expectClose("out", out, expected(read(selector), { ...given, parameters }, 12, 1).out, TOLERANCE);
  expectAttended(selector, cache, given, 1, single);
  cache.dispose();
});

describe("refusals", () => {
  const one = sequence(read("dot+causal"), 2, sizes, "refusals");
  const open = (selector = "dot+causal", options: object = {}): KeyValueCache =>
    wasmCache(single, read(selector), { ...sizes, ...options });

  test("shapes, numbers and lengths", () => {
    const cache = open();
    expect(() => cache.append(one.q, one.v)).toThrow(/k as its shape must be \[2, 2, n, 8\]/);
    expect(() => cache.append(one.k, placesOf(one.v, 0, 1))).toThrow(/same for k and v/);
    const broken = { ...one.k, data: one.k.data.map(() => Number.NaN) };
    expect(() => cache.append(broken, one.v)).toThrow(/k/);
    expect(cache.length).toBe(0);
    expect(() => cache.attend(one.q)).toThrow(/2 queries, length 0/);
    expect(() => cache.truncate(1)).toThrow(/from 0 to the present 0: 1/);
    cache.dispose();
    expect(() => cache.append(one.k, one.v)).toThrow(/was disposed/);
    expect(() => open("dot+causal", { heads: 3 })).toThrow(/must divide/);
    expect(() => open("dot+causal", { capacity: 0.5 })).toThrow(/capacity must be a whole number/);
  });

  test("parameters that rows were lifted with, and those that need a whole call", () => {
    const selector = "mahalanobis+causal+centroid:c=learned";
    const composition = read(selector);
    const cache = open(selector);
    cache.append(one.k, one.v);
    const { parameters } = sequence(composition, 2, sizes, "lifting");
    const lifting = [composition.similarity.metric!, composition.aggregation.parameters[0].name];
    for (const name of lifting) {
      const call = { parameters: { [name]: parameters[name] } };
      expect(() => cache.attend(one.q, call)).toThrow(`Cannot set '${name}' for one call`);
    }
    cache.dispose();
    expect(() => open("l2:beta=auto+causal")).toThrow(/calibrated on a whole call/);
  });

  test("a log-sum-exp without softmax", () => {
    const cache = open("dot+causal+sigmoid");
    cache.append(one.k, one.v);
    expect(() => cache.attend(one.q, { return: ["lse"] })).toThrow(/only softmax/);
    cache.dispose();
  });

  test("beyond 4 GiB nothing is kept", () => {
    const mark = single.arena.mark;
    expect(() => open("dot+causal", { capacity: 2 ** 28 })).toThrow(/at most 4 GiB/);
    expect(single.arena.mark).toBe(mark);
  });
});
