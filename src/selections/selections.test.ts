import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { all, topk } from "./index.ts";

const scoreRows = fc
  .array(fc.integer({ min: -5, max: 5 }), { maxLength: 20 })
  .map((row) => Float64Array.from(row));

describe("topk", () => {
  test("keeps exactly min(k, allowed) of the largest, in order of place", () => {
    fc.assert(
      fc.property(scoreRows, fc.integer({ min: 1, max: 25 }), (scores, k) => {
        const kept = topk({ k }).keep(scores);
        expect(kept).toHaveLength(Math.min(k, scores.length));
        expect([...kept].sort((a, b) => a - b)).toEqual(kept);
        const smallestKept = Math.min(...kept.map((place) => scores[place]));
        scores.forEach((score, place) => {
          if (score > smallestKept) expect(kept).toContain(place);
        });
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test("gives ties to the lower index", () => {
    expect(topk({ k: 3 }).keep(Float64Array.of(1, 2, 2, 1, 2, 1))).toEqual([1, 2, 4]);
    expect(topk({ k: 2 }).keep(Float64Array.of(1, 1, 1))).toEqual([0, 1]);
    expect(topk({ k: 4 }).keep(Float64Array.of(1, 2, 2, 1, 2, 1))).toEqual([0, 1, 2, 4]);
  });

  test("keeps everything when k reaches the number of keys", () => {
    const scores = Float64Array.of(3, -1, 2);
    expect(topk({ k: 3 }).keep(scores)).toEqual(all().keep(scores));
    expect(topk({ k: 9 }).keep(scores)).toEqual([0, 1, 2]);
    expect(topk({ k: 2 }).keep(new Float64Array())).toEqual([]);
  });

  test.each([0, -1, 1.5, NaN])("refuses k = %d", (k) => {
    expect(() => topk({ k })).toThrow(expect.objectContaining({ name: "DomainError", code: "bad-option" }));
  });
});

test("all keeps every allowed key and has no limit", () => {
  expect(all().keep(Float64Array.of(1, 1))).toEqual([0, 1]);
  expect([all().limit, topk({ k: 7 }).limit]).toEqual([undefined, 7]);
});
