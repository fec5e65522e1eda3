/** @file Plans of tiles pair by pair: what their lists and masks allow is what the pattern allows. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { causal, fixed, intersect, type Pattern, strided, window } from "../../../patterns/index.ts";
import { tileKeys, tileRows } from "./kernel-spec.ts";
import { rearrange } from "./rearrange.ts";
import { hasMoreTiles, rearrangedPlan, type TilePlan, tilePlan } from "./tile-plan.ts";

/** Pairs of a plan as "row key", every tile with a mask of its own; those beyond the last row and key are nobody's. */
function pairsOf(plan: TilePlan, rows: number, keys: number): string[] {
  const pairs: string[] = [];
  for (let tile = 0; tile + 1 < plan.rowStart.length; tile++) {
    for (let entry = plan.rowStart[tile]; entry < plan.rowStart[tile + 1]; entry++) {
      const [keyTile, mask] = plan.rowEntries.subarray(2 * entry, 2 * entry + 2);
      // A kernel reads no further than the masks.
      expect(mask).toBeGreaterThanOrEqual(0);
      for (let row = 0; row < Math.min(tileRows, rows - tile * tileRows); row++) {
        for (let key = 0; key < Math.min(tileKeys, keys - keyTile * tileKeys); key++) {
          const word = plan.masks[(mask * tileRows + row) * 2 + (key >> 5)];
          if ((word >>> (key & 31)) & 1) pairs.push(`${tile * tileRows + row} ${keyTile * tileKeys + key}`);
        }
      }
    }
  }
  return pairs.toSorted();
}

/** Entries as "row tile, key tile, mask", by row tiles or by key tiles. */
function entriesOf(start: Int32Array, entries: Int32Array, isTransposed: boolean): string[] {
  const found: string[] = [];
  for (let tile = 0; tile + 1 < start.length; tile++) {
    for (let entry = start[tile]; entry < start[tile + 1]; entry++) {
      const [other, mask] = entries.subarray(2 * entry, 2 * entry + 2);
      found.push((isTransposed ? [other, tile, mask] : [tile, other, mask]).join());
    }
  }
  return found.toSorted();
}

const extent = fc.integer({ min: 1, max: 170 });
const span = fc.integer({ min: 1, max: 150 });
const offset = fc.integer({ min: -90, max: 200 });
const pattern = fc.oneof(
  fc.tuple(span, span).map(([stride, local]) => strided({ stride, local })),
  fc
    .tuple(span, span, fc.constantFrom("whole" as const, "columns" as const))
    .map(([block, some, part]) => fixed({ block, columns: Math.min(some, block), part })),
  span.map((block) => fixed({ block, columns: 0 })),
);

describe("a pattern as it is", () => {
  const list: fc.Arbitrary<Pattern[]> = fc.oneof(
    pattern.map((one) => [one]),
    pattern.map((one) => [causal(), one]),
    fc.tuple(pattern, span).map(([one, w]) => [one, window({ w })]),
  );

  test("allows what the pattern allows", () => {
    fc.assert(
      fc.property(list, extent, extent, offset, (patterns, queries, keys, place) => {
        const { allows } = intersect(patterns);
        const expected: string[] = [];
        for (let row = 0; row < queries; row++) {
          for (let key = 0; key < keys; key++) if (allows(row + place, key)) expected.push(`${row} ${key}`);
        }
        const plan = tilePlan(patterns, queries, keys, place);
        expect(pairsOf(plan, queries, keys)).toEqual(expected.toSorted());
      }),
      { numRuns: 60 },
    );
  });

  test("has as many tiles as are counted", () => {
    fc.assert(
      fc.property(pattern, extent, extent, offset, (one, queries, keys, place) => {
        const { rowEntries } = tilePlan([one], queries, keys, place);
        const count = rowEntries.length / 2;
        const sizes = { queries, keys, offset: place };
        expect(hasMoreTiles([one], sizes, count)).toBe(false);
        expect(hasMoreTiles([one], sizes, count - 1)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

describe("a rearrangement", () => {
  test("allows the ranges of its virtual rows, by row tiles and by key tiles", () => {
    fc.assert(
      fc.property(pattern, extent, extent, offset, (one, queries, keys, place) => {
        const found = rearrange(one, queries, keys, place)!;
        const expected: string[] = [];
        found.rows.forEach((_, row) => {
          for (const range of [4 * row, 4 * row + 2]) {
            for (let key = found.ranges[range]; key < found.ranges[range + 1]; key++)
              expected.push(`${row} ${key}`);
          }
        });
        const plan = rearrangedPlan(found);
        expect(pairsOf(plan, found.rows.length, found.keys.length)).toEqual(expected.toSorted());
        expect(entriesOf(plan.keyStart, plan.keyEntries, true)).toEqual(
          entriesOf(plan.rowStart, plan.rowEntries, false),
        );
      }),
      { numRuns: 60 },
    );
  });

  test("of √N visits few tiles, and names the whole ones", () => {
    const [length, span] = [4096, 64];
    const found = rearrange(strided({ stride: span, local: span }), length, length, 0)!;
    const { rowEntries } = rearrangedPlan(found);
    const rowTiles = length / tileRows;
    // Two tiles of the window a row tile, but for the first; one on the diagonal of every residue.
    expect(rowEntries.length / 2).toBe(2 * rowTiles - 1 + span);
    const summaries = rearrange(fixed({ block: 64, columns: 64 }), 256, 256, 0)!;
    const masks = rearrangedPlan(summaries).rowEntries.filter((_, index) => index % 2 === 1);
    expect(masks.filter((mask) => mask === 0).length).toBe(6);
  });
});
