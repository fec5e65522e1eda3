/** @file Rearrangements pair by pair: every allowed pair once, no other pair. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { causal, fixed, type Pattern, strided } from "../../../patterns/index.ts";
import { rearrange } from "./rearrange.ts";

/** Allowed pairs of a pattern, as "row key". */
function pairsOf({ allows }: Pattern, queries: number, keys: number, offset: number): string[] {
  const pairs: string[] = [];
  for (let row = 0; row < queries; row++) {
    for (let key = 0; key < keys; key++) if (allows(row + offset, key)) pairs.push(`${row} ${key}`);
  }
  return pairs.toSorted();
}

/** The pairs that the virtual rows see, each as often as it is seen. */
function virtualPairsOf(pattern: Pattern, queries: number, keys: number, offset: number): string[] {
  const found = rearrange(pattern, queries, keys, offset)!;
  const pairs: string[] = [];
  found.rows.forEach((row, virtual) => {
    for (const range of [4 * virtual, 4 * virtual + 2]) {
      for (let at = found.ranges[range]; at < found.ranges[range + 1]; at++) {
        pairs.push(`${row} ${found.keys[at]}`);
      }
    }
  });
  return pairs.toSorted();
}

const extent = fc.integer({ min: 1, max: 70 });
const span = fc.integer({ min: 1, max: 90 });
const part = fc.constantFrom("whole" as const, "columns" as const);
const offset = fc.integer({ min: -80, max: 160 });

describe("every allowed pair occurs once, and no other", () => {
  test("strided", () => {
    fc.assert(
      fc.property(extent, extent, offset, span, span, (queries, keys, place, stride, local) => {
        const pattern = strided({ stride, local });
        expect(virtualPairsOf(pattern, queries, keys, place)).toEqual(pairsOf(pattern, queries, keys, place));
      }),
      { numRuns: 300 },
    );
  });

  test("fixed", () => {
    fc.assert(
      fc.property(
        extent,
        extent,
        offset,
        span,
        fc.nat({ max: 90 }),
        part,
        (queries, keys, place, block, some, part) => {
          fc.pre(some > 0 || part === "whole");
          const pattern = fixed({ block, columns: Math.min(some, block), part });
          expect(virtualPairsOf(pattern, queries, keys, place)).toEqual(
            pairsOf(pattern, queries, keys, place),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a long sequence, and places far beyond the keys", () => {
    for (const pattern of [strided({ stride: 32, local: 48 }), fixed({ block: 48, columns: 5 })]) {
      expect(virtualPairsOf(pattern, 400, 300, 100)).toEqual(pairsOf(pattern, 400, 300, 100));
      expect(virtualPairsOf(pattern, 40, 300, 2 ** 40)).toEqual(pairsOf(pattern, 40, 300, 2 ** 40));
    }
  });
});

test("the first virtual rows and keys are the rows and keys themselves", () => {
  const own = Array.from({ length: 30 }, (_, number) => number);
  for (const pattern of [strided({ stride: 4, local: 3 }), fixed({ block: 8, columns: 2 })]) {
    const { rows, keys } = rearrange(pattern, 30, 30, 0)!;
    expect([...rows.subarray(0, 30)]).toEqual(own);
    expect([...keys.subarray(0, 30)]).toEqual(own);
  }
});

test("a pattern without an order of its own has no rearrangement", () => {
  expect(rearrange(causal(), 30, 30, 0)).toBeUndefined();
});
