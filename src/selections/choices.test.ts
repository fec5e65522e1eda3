/** @file Selections that choose by the vectors: what they keep, row by row. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { choiceArithmetic } from "./choice-arithmetic.ts";
import { type HeadVectors, lsh, moba, type Selection } from "./index.ts";
import { isFound, keptKeys } from "./kept-keys.ts";

const width = 8;

/** Vectors of a sequence, shared by queries and keys unless told otherwise. */
function drawn(count: number, { seed = 0, isShared = true } = {}): HeadVectors {
  const queries = random("choices", seed).normals(count * width);
  const keys = isShared ? queries : random("choices", seed, "keys").normals(count * width);
  return { queries, keys, width, offset: 0, places: count };
}

/** The keys of every query under a causal pattern, or all. */
function rowsOf(selection: Selection, head: HeadVectors, isCausal = true): readonly (readonly number[])[] {
  const choice = selection.choose!(head);
  const [queries, keys] = [head.queries.length / width, head.keys.length / width];
  return Array.from({ length: queries }, (_, query) => {
    const allowed = Array.from({ length: keys }, (_, key) => key).filter(
      (key) => !isCausal || key <= query + head.offset,
    );
    return keptKeys(choice, query, allowed, query + head.offset);
  });
}

const before = (count: number): readonly number[] => Array.from({ length: count }, (_, key) => key);

describe("lsh", () => {
  test("with one bucket and one chunk keeps every pair but a token with itself", () => {
    const rows = rowsOf(lsh({ buckets: 1, rounds: 1, chunk: 40 }), drawn(33));
    rows.forEach((row, query) => expect(row).toEqual(query === 0 ? [0] : before(query)));
    const all = rowsOf(lsh({ buckets: 1, rounds: 3, chunk: 40 }), drawn(33), false);
    all.forEach((row, query) => expect(row).toEqual(before(33).filter((key) => key !== query)));
  });

  test("keeps keys of the own chunk of a bucket and the one before", () => {
    const rows = rowsOf(lsh({ buckets: 1, rounds: 1, chunk: 4 }), drawn(14));
    rows.forEach((row, query) => {
      const first = Math.max(0, 4 * (Math.floor(query / 4) - 1));
      expect(row).toEqual(query === 0 ? [0] : before(query).slice(first));
    });
  });

  test("keeps keys whose largest projection, up to its sign, is the query's", () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.constantFrom(2, 4, 10), (seed, buckets) => {
        const head = drawn(50, { seed });
        const directions = random(7, "lsh", 0, width).normals((buckets / 2) * width);
        const half = buckets / 2;
        const products = choiceArithmetic.products(head.keys, directions, width);
        const bucketOf = (row: number): number => {
          const projections = [...products.subarray(row * half, (row + 1) * half)];
          const all = [...projections, ...projections.map((projection) => -projection)];
          return all.indexOf(Math.max(...all));
        };
        rowsOf(lsh({ buckets, rounds: 1, chunk: 50, seed: 7 }), head).forEach((row, query) => {
          const others = before(query).filter((key) => bucketOf(key) === bucketOf(query));
          expect(row).toEqual(others.length === 0 ? [query] : others);
        });
      }),
      { numRuns: 30 },
    );
  });

  test("a token sees itself exactly when it sees nothing else, and no key twice", () => {
    for (const isShared of [true, false]) {
      const head = drawn(200, { isShared });
      const rows = rowsOf(lsh({ buckets: 32, rounds: 2, chunk: 8 }), head);
      expect(rows.some((row, query) => row[0] === query)).toBe(true);
      rows.forEach((row, query) => {
        expect(row.includes(query)).toBe(row.length === 1 && row[0] === query);
        expect(new Set(row).size).toBe(row.length);
        expect(row.length).toBeGreaterThan(0);
      });
    }
  });

  test("more rounds keep what fewer keep: the recall of the nearest keys grows", () => {
    const head = drawn(300);
    const choice = lsh({ buckets: 16, rounds: 6, chunk: 16 }).choose!(head);
    const products = choiceArithmetic.products(head.queries, head.keys, width);
    const recalls = before(6).map((rounds) => {
      const fewer = lsh({ buckets: 16, rounds: rounds + 1, chunk: 16 }).choose!(head);
      let hits = 0;
      for (let query = 0; query < 300; query++) {
        const others = [...before(query)].sort(
          (a, b) => products[query * 300 + b] - products[query * 300 + a],
        );
        for (const key of others.slice(0, 8)) {
          hits += Number(isFound(fewer, query, key));
          expect(isFound(fewer, query, key)).toBe(isFound(choice, query, key, rounds + 1));
        }
      }
      return hits;
    });
    expect(recalls).toEqual([...recalls].sort((a, b) => a - b));
    expect(recalls[5]).toBeGreaterThan(recalls[0]);
  });

  test("the rows of a part of the sequence are those of the whole", () => {
    const head = drawn(90, { isShared: false });
    const selection = lsh({ buckets: 4, rounds: 3, chunk: 8 });
    const whole = rowsOf(selection, head);
    const part = { ...head, queries: head.queries.slice(60 * width), offset: 60 };
    expect(rowsOf(selection, part)).toEqual(whole.slice(60));
    expect(rowsOf(selection, { ...part, queries: part.queries.slice(29 * width), offset: 89 })).toEqual(
      whole.slice(89),
    );
  });

  test("no later token changes what a query sees", () => {
    const head = drawn(80);
    const selection = lsh({ buckets: 8, rounds: 4, chunk: 4 });
    const rows = rowsOf(selection, head);
    for (const changed of [1, 40, 79]) {
      const vectors = head.queries.slice();
      random("choices", "changed", changed)
        .normals(width)
        .forEach((value, d) => (vectors[changed * width + d] = value));
      const others = rowsOf(selection, { ...head, queries: vectors, keys: vectors });
      expect(others.slice(0, changed)).toEqual(rows.slice(0, changed));
    }
  });

  test("zeros fall into the first bucket, and lengths do not matter", () => {
    const head = drawn(20);
    const zeros = { ...head, queries: new Float32Array(20 * width), keys: new Float32Array(20 * width) };
    const selection = lsh({ buckets: 6, rounds: 2, chunk: 100 });
    expect(rowsOf(selection, zeros)[19]).toEqual(before(19));
    // Powers of two scale float32 without rounding.
    const doubled = head.keys.map((value) => 4 * value);
    expect(rowsOf(selection, { ...head, keys: doubled })).toEqual(rowsOf(selection, head));
  });

  test.each([
    ["bad-option", { buckets: 3 }],
    ["bad-option", { buckets: 0 }],
    ["bad-option", { buckets: 4, rounds: 0 }],
    ["bad-option", { buckets: 4, rounds: 65 }],
    ["bad-option", { buckets: 4, chunk: 1.5 }],
    ["bad-option", { buckets: 65_538 }],
    ["missing-option", {} as { buckets: number }],
  ])("refuses with %s: %j", (code, options) => {
    expect(() => lsh(options)).toThrow(expect.objectContaining({ name: "DomainError", code }));
  });

  test.each([-1, 6])("refuses queries that are not places of keys: from place %d", (offset) => {
    const head = { ...drawn(10), queries: new Float32Array(5 * width), offset };
    expect(() => lsh({ buckets: 2 }).choose!(head)).toThrow(
      expect.objectContaining({ name: "ShapeError", code: "lsh-places" }),
    );
  });
});

describe("moba", () => {
  test("keeps the own block and the best blocks before it", () => {
    const block = 5;
    const head = drawn(43, { isShared: false });
    rowsOf(moba({ block, k: 2 }), head).forEach((row, query) => {
      const own = Math.floor(query / block);
      const gates = before(own).map((at) =>
        before(width).reduce((gate, d) => {
          const mean = before(block).reduce(
            (sum, j) => sum + head.keys[(at * block + j) * width + d] / block,
            0,
          );
          return gate + head.queries[query * width + d] * mean;
        }, 0),
      );
      const best = [...before(own)].sort((a, b) => gates[b] - gates[a]).slice(0, 2);
      const wanted = before(query + 1).filter((key) => [own, ...best].includes(Math.floor(key / block)));
      expect(row).toEqual(wanted);
    });
  });

  test("keeps all earlier keys when k reaches the number of blocks", () => {
    rowsOf(moba({ block: 4, k: 9 }), drawn(38)).forEach((row, query) =>
      expect(row).toEqual(before(query + 1)),
    );
    rowsOf(moba({ block: 64, k: 1 }), drawn(38)).forEach((row, query) =>
      expect(row).toEqual(before(query + 1)),
    );
  });

  test("gives ties to the lower block", () => {
    const zeros = { ...drawn(20), queries: new Float32Array(20 * width) };
    expect(rowsOf(moba({ block: 4, k: 2 }), zeros)[19]).toEqual([...before(8), 16, 17, 18, 19]);
  });

  test("no later token changes what a query sees; a part of the sequence sees the same", () => {
    const head = drawn(60);
    const selection = moba({ block: 8, k: 2 });
    const rows = rowsOf(selection, head);
    const vectors = head.queries.slice().fill(3, 37 * width, 38 * width);
    expect(rowsOf(selection, { ...head, queries: vectors, keys: vectors }).slice(0, 37)).toEqual(
      rows.slice(0, 37),
    );
    const last = { ...head, queries: head.queries.slice(59 * width), offset: 59 };
    expect(rowsOf(selection, last)).toEqual(rows.slice(59));
  });

  test.each([
    { block: 0, k: 1 },
    { block: 4, k: 0 },
    { block: 4, k: 65 },
    { block: 2.5, k: 1 },
  ])("refuses %j", (options) => {
    expect(() => moba(options)).toThrow(expect.objectContaining({ name: "DomainError", code: "bad-option" }));
  });
});
