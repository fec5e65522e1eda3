/** @file Patterns against their sets of pairs, written out by brute force. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { block, causal, fixed, full, intersect, type Pattern, patterns, strided, window } from "./index.ts";
import { parseBlockList } from "./block.ts";

const keys = 12;
const places = Array.from({ length: keys }, (_, place) => place);

/** The allowed keys of every query place. */
const allowed = (pattern: Pick<Pattern, "allows">): readonly (readonly number[])[] =>
  places.map((i) => places.filter((j) => pattern.allows(i, j)));

/** The keys j of every query place i for which a predicate holds. */
const where = (holds: (i: number, j: number) => boolean): readonly (readonly number[])[] =>
  places.map((i) => places.filter((j) => holds(i, j)));

describe("allowed pairs", () => {
  test("full: all; causal: j ≤ i", () => {
    expect(allowed(full())).toEqual(where(() => true));
    expect(allowed(causal())).toEqual(where((i, j) => j <= i));
  });

  test("window: a band on both sides, only the past together with causal", () => {
    expect(allowed(window({ w: 3 }))).toEqual(where((i, j) => j > i - 3 && j < i + 3));
    expect(allowed(intersect([causal(), window({ w: 3 })]))).toEqual(where((i, j) => j > i - 3 && j <= i));
    expect(allowed(window({ w: 1 }))).toEqual(places.map((i) => [i]));
  });

  test("strided: the paper's two sets, the last l places and every l-th place before", () => {
    const [stride, local] = [4, 3];
    const expected = places.map((i) => {
      const recent = Array.from({ length: local }, (_, back) => i - back);
      const summaries = Array.from({ length: keys }, (_, times) => i - stride * times);
      return [...new Set([...recent, ...summaries])].filter((j) => j >= 0).sort((a, b) => a - b);
    });
    expect(allowed(strided({ stride, local }))).toEqual(expected);
  });

  test("fixed: the paper's two sets, the own block and the last c columns of every block", () => {
    const [size, columns] = [4, 2];
    const expected = places.map((i) => {
      const own = places.slice(size * Math.floor(i / size), i + 1);
      const summaries = places.filter((j) => j <= i && [2, 3].includes(j % size));
      return [...new Set([...own, ...summaries])].sort((a, b) => a - b);
    });
    expect(allowed(fixed({ block: size, columns }))).toEqual(expected);
    const own = where((i, j) => j <= i && Math.floor(i / size) === Math.floor(j / size));
    expect(allowed(fixed({ block: size, columns: 0 }))).toEqual(own);
    const before = fixed({ block: size, columns, part: "columns" });
    expect(allowed(before)).toEqual(expected.map((keys, i) => keys.filter((j) => !own[i].includes(j))));
    expect(allowed(before)[5]).toEqual([2, 3]);
  });

  test("block: exactly the listed blocks, none for queries that no block names", () => {
    const list = "0-0/0-2/2-1/2-1";
    const listed = new Set(["0-0", "0-2", "2-1"]);
    const expected = where((i, j) => listed.has(`${Math.floor(i / 4)}-${Math.floor(j / 4)}`));
    expect(allowed(block({ size: 4, list }))).toEqual(expected);
    expect(allowed(block({ size: 4, list }))[5]).toEqual([]);
  });

  test("patterns intersect, and are causal when one of them is", () => {
    const parts = [
      strided({ stride: 3, local: 1 }),
      window({ w: 5 }),
      block({ size: 6, list: "0-0/1-0/1-1" }),
    ];
    const both = intersect(parts);
    expect(allowed(both)).toEqual(where((i, j) => parts.every((part) => part.allows(i, j))));
    expect(both.causal).toBe(true);
    expect(intersect([window({ w: 5 }), full()]).causal).toBe(false);
  });
});

const anyPattern = fc.oneof(
  fc.constant(full()),
  fc.constant(causal()),
  fc.integer({ min: 1, max: 9 }).map((w) => window({ w })),
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
    .map(([stride, local]) => strided({ stride, local })),
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
    .map(([a, b]) => fixed({ block: Math.max(a, b), columns: Math.min(a, b) })),
  fc.integer({ min: 1, max: 9 }).map((size) => fixed({ block: size, columns: 0 })),
  fc.integer({ min: 1, max: 9 }).map((size) => fixed({ block: size, columns: 1, part: "columns" })),
  fc
    .tuple(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 })), { minLength: 1, maxLength: 5 }),
    )
    .map(([size, pairs]) => block({ size, list: pairs.map((pair) => pair.join("-")).join("/") })),
);

test("no allowed key lies outside the key range, wherever the query is", () => {
  fc.assert(
    fc.property(
      fc.array(anyPattern, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: -20, max: 40 }),
      fc.nat({ max: 20 }),
      (parts, queryPlace, count) => {
        const pattern = intersect(parts);
        const [first, stop] = pattern.keyRange(queryPlace, count);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(stop === first || (stop > first && stop <= count)).toBe(true);
        for (let key = 0; key < count; key++) {
          if (pattern.allows(queryPlace, key)) expect(key >= first && key < stop).toBe(true);
        }
      },
    ),
    { seed: 1, numRuns: 1000 },
  );
});

test("a causal pattern allows no later key", () => {
  fc.assert(
    fc.property(anyPattern, fc.nat({ max: 30 }), (pattern, queryPlace) => {
      fc.pre(pattern.causal);
      for (let key = queryPlace + 1; key < queryPlace + 40; key++)
        expect(pattern.allows(queryPlace, key)).toBe(false);
    }),
    { seed: 2, numRuns: 200 },
  );
});

describe("errors", () => {
  const code = (expected: string): unknown =>
    expect.objectContaining({ name: "DomainError", code: expected });

  test("columns fit into their block", () => {
    expect(() => fixed({ block: 4, columns: 5 })).toThrow(code("fixed-columns"));
    expect(() => fixed({ block: 4, columns: 0, part: "columns" })).toThrow(code("fixed-columns"));
  });

  test.each(["", "0", "0-", "0-1-2", "a-b", "0-0/", "-1-0", "0-1234567890"])(
    "refuse the block list '%s'",
    (list) => {
      expect(() => block({ size: 4, list })).toThrow(code(list === "" ? "bad-option" : "block-list"));
    },
  );

  test("a list that reads as a number is no list", () => {
    expect(() => block({ size: 4, list: 0 as never })).toThrow(code("bad-option"));
  });

  test.each([
    () => window({ w: 0 }),
    () => window({ w: 1.5 }),
    () => strided({ stride: 0, local: 1 }),
    () => fixed({ block: 0, columns: 1 }),
  ])("sizes are whole numbers of at least one (%#)", (make) => {
    expect(make).toThrow(code("bad-option"));
  });

  test("needed options are asked for", () => {
    expect(() => window({} as never)).toThrow(code("missing-option"));
  });

  test("lists are read once", () => {
    expect(parseBlockList("0-1/0-2/3-0")).toEqual(
      new Map([
        [0, new Set([1, 2])],
        [3, new Set([0])],
      ]),
    );
    expect(patterns.map(({ definition }) => definition.selector)).toEqual([
      "full",
      "causal",
      "window",
      "strided",
      "fixed",
      "block",
    ]);
  });
});
