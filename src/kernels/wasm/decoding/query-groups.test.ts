/** @file Queries of one key head as its rows: the cache read once has the numbers of one read for every query head, bit for bit. */
import { afterAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../../test/contract/comparison.ts";
import { read } from "../../../../test/contract/legal-selectors.ts";
import { normals } from "../../../../test/contract/problem.ts";
import { wasmPromises } from "../../../../test/contract/wasm-promises.ts";
import { referenceForward, resolveParameters } from "../../../attention/index.ts";
import { random } from "../../../base/random.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { guards } from "../../../similarities/index.ts";
import { wasmCache } from "./key-value-cache.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { groupedParameters } from "./query-groups.ts";

const engines = [1, 2, 3].map((threads) => nodeEngine({ threads }));
const [single] = engines;
afterAll(() => {
  for (const engine of engines) engine.close();
});

/** Keys of key heads as the keys of all their query heads. */
function repeated({ data, shape }: Tensor, group: number): Tensor {
  const [batch, keyHeads, count, width] = shape;
  const size = count * width;
  const copy = new Float32Array(group * data.length);
  for (let head = 0; head < batch * keyHeads * group; head++) {
    const from = Math.floor(head / group) * size;
    copy.set(data.subarray(from, from + size), head * size);
  }
  return { data: copy, shape: [batch, keyHeads * group, count, width] };
}

/** As the contract's, with more keys a row. */
const TOLERANCE = 2e-5;
const length = 141;

describe.each([
  "dot+causal",
  "dot+rope+causal",
  "dot+rope:layout=interleaved+causal+window:w=70",
  "complex+rope:scaling=xpos+causal",
  "l2:beta=learned+fixed:block=8,columns=2",
  "l1+strided:stride=5,local=3",
  "poincare+causal+softmax:sink=learned",
  "cosine:beta=8+full+topk:k=5",
  "dot+causal+sigmoid",
  "tropical+causal+none+maxplus",
])("%s", (selector) => {
  const composition = read(selector);
  const slack = wasmPromises.relaxations?.find(({ selectors }) => selectors.test(selector))?.tolerances;
  const tolerance = Math.max(TOLERANCE, slack?.forward ?? 0);

  test.each([
    [2, 2],
    [2, 3],
    [1, 5],
    [1, 66],
  ])("%i key heads, each with %i query heads", (keyHeads, group) => {
    const sizes = { batch: 2, heads: keyHeads * group, width: 6, valueWidth: 11 };
    const stream = random("groups", selector, group);
    const q = normals(stream, [2, sizes.heads, 1, 6]);
    const k = normals(stream, [2, keyHeads, length, 6]);
    const v = normals(stream, [2, keyHeads, length, 11]);
    const shared = engines.map((engine) => {
      const cache = wasmCache(engine, composition, { ...sizes, keyHeads });
      cache.append(k, v);
      engine.arena.poison();
      const { out } = cache.attend(q);
      cache.dispose();
      return out;
    });
    const [{ data }] = shared;
    for (const other of shared) expect(other).toEqual({ data, shape: [2, sizes.heads, 1, 11] });

    const alone = wasmCache(single, composition, sizes);
    alone.append(repeated(k, group), repeated(v, group));
    expect(alone.attend(q).out.data).toEqual(data);
    alone.dispose();

    const inputs = { q, k, v, offset: length - 1 };
    const expected = referenceForward(composition, inputs, { guard: guards.f32 }).out;
    expectClose("out", shared[0], expected, tolerance);
  });
});

test("a long cache in parts, with a log-sum-exp", () => {
  const composition = read("l2+causal");
  const sizes = { heads: 6, keyHeads: 2, width: 8, valueWidth: 8 };
  const stream = random("groups", "long");
  const [k, v] = [normals(stream, [1, 2, 2100, 8]), normals(stream, [1, 2, 2100, 8])];
  const q = normals(stream, [1, 6, 1, 8]);
  const results = engines.map((engine) => {
    const cache = wasmCache(engine, composition, sizes);
    cache.append(k, v);
    const result = cache.attend(q, { return: ["lse"] });
    cache.dispose();
    return result;
  });
  for (const other of results.slice(1)) expect(other).toEqual(results[0]);
  const expected = referenceForward(composition, { q, k, v, offset: 2099 }, { guard: guards.f32 });
  expectClose("out", results[0].out, expected.out, TOLERANCE);
  expectClose("lse", results[0].lse, expected.lse!, TOLERANCE);
});

describe("parameters of a group", () => {
  const sizes = { heads: 4, keyHeads: 2, width: 3, valueWidth: 3 };
  const grouped = (selector: string, scale: readonly number[] = [1, 1, 2, 2]) => {
    const composition = read(selector);
    const data = Float32Array.from(scale);
    const given = selector.startsWith("dot:") ? { scale: { data, shape: [4] } } : {};
    return groupedParameters(composition, sizes, resolveParameters(composition, sizes, given));
  };

  test("are those of its first query head", () => {
    expect(grouped("dot:scale=learned+causal")).toEqual({
      scale: { data: Float64Array.of(1, 2), shape: [2] },
    });
  });

  test.each([
    ["dot:scale=learned+causal", [1, 1, 2, 3]],
    ["dot+alibi+causal", []],
    ["mahalanobis+causal", []],
    ["dot+causal+centroid", []],
  ])("are none where heads differ: %s %j", (selector, scale) => {
    expect(grouped(selector, scale)).toBeUndefined();
  });

  test("are none where every query head has keys of its own", () => {
    const composition = read("dot+causal");
    const own = { ...sizes, keyHeads: 4 };
    expect(groupedParameters(composition, own, resolveParameters(composition, own))).toBeUndefined();
  });
});
