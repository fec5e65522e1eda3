/** @file A choice that follows keys token by token finds what the choice of the whole sequence finds, at every place. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { lsh, moba, type Selection } from "./index.ts";
import { keptKeys, othersFirst } from "./kept-keys.ts";

const width = 4;
/** Two query heads read the first key head, two the second. */
const heads = { queryHeads: 4, keyHeads: 2, width };

const anySelection: fc.Arbitrary<Selection> = fc.oneof(
  fc
    .record({
      buckets: fc.constantFrom(1, 2, 6),
      rounds: fc.integer({ min: 1, max: 3 }),
      chunk: fc.integer({ min: 1, max: 6 }),
      seed: fc.nat(100),
    })
    .map((options) => lsh(options)),
  fc
    .record({ block: fc.integer({ min: 1, max: 7 }), k: fc.integer({ min: 1, max: 4 }) })
    .map((options) => moba(options)),
);

test("finds the keys of the whole sequence's choice, appended one by one or in parts, and keeps what it says", () => {
  fc.assert(
    fc.property(anySelection, fc.nat(1000), fc.nat(20), fc.boolean(), (selection, seed, part, isShared) => {
      const count = 40;
      const stream = random("followed", seed);
      const keys = Array.from({ length: 2 }, () => stream.normals(count * width));
      // Queries that are keys fall into their own buckets; others need not.
      const queries = Array.from({ length: 4 }, (_, head) =>
        isShared ? keys[head >> 1] : stream.normals(count * width),
      );
      const choices = queries.map((own, head) =>
        selection.choose!({ queries: own, keys: keys[head >> 1], width, offset: 0, places: count }),
      );
      const followed = selection.follow!(heads);
      const rowsOf = (of: readonly Float32Array[], first: number, stop: number): Float32Array =>
        Float32Array.from(of.flatMap((rows) => [...rows.subarray(first * width, stop * width)]));
      for (let place = part; place < count; place++) {
        const first = place === part ? 0 : place;
        followed.append(rowsOf(keys, first, place + 1), place + 1 - first);
        const allowed = Array.from({ length: place + 1 }, (_, key) => key);
        followed.found(rowsOf(queries, place, place + 1)).forEach((found, head) => {
          const kept = followed.isOwnLast ? othersFirst(found, place, true) : found;
          expect([...kept]).toEqual(keptKeys(choices[head], place, allowed, place));
        });
        expect(followed.size).toBe(heads.keyHeads * selection.followedNumbers!(place + 1, width));
      }
    }),
    { numRuns: 60 },
  );
});

describe("what a query finds", () => {
  test("is no more than two chunks a round, or k + 1 blocks, however long the sequence", () => {
    const most = [
      [lsh({ buckets: 2, rounds: 3, chunk: 5 }), 3 * 2 * 5],
      [moba({ block: 6, k: 2 }), 3 * 6],
    ] as const;
    for (const [selection, bound] of most) {
      const followed = selection.follow!({ queryHeads: 1, keyHeads: 1, width });
      followed.append(random("long").normals(3000 * width), 3000);
      const [found] = followed.found(random("query").normals(width));
      expect(found.length).toBeGreaterThan(bound / 3);
      expect(found.length).toBeLessThanOrEqual(bound);
    }
  });
});
