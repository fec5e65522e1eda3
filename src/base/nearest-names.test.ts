import fc from "fast-check";
import { expect, test } from "vitest";
import { nearestNames } from "./nearest-names.ts";

const similarities = [
  "dot",
  "l2",
  "l1",
  "rbf",
  "cauchy",
  "cosine",
  "lorentz",
  "poincare",
  "complex",
  "tropical",
];

test.each([
  ["cosin", "cosine"],
  ["poincaré", "poincare"],
  ["lorenz", "lorentz"],
  ["dto", "dot"],
  ["caushy", "cauchy"],
])("%s is recognised as %s", (written, meant) => {
  expect(nearestNames(written, similarities)[0]).toBe(meant);
});

test("a beginning comes before a name with fewer edits", () => {
  expect(nearestNames("co", ["dot", "complex"], 1)).toEqual(["complex"]);
});

test("names are returned once each, at most as many as asked for, from those that exist", () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 12 }),
      fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 8 }),
      fc.nat({ max: 10 }),
      (name, known, count) => {
        const nearest = nearestNames(name, known, count);
        expect(nearest).toHaveLength(Math.min(count, known.length));
        expect(new Set(nearest).size).toBe(nearest.length);
        expect(known).toEqual(expect.arrayContaining(nearest));
      },
    ),
  );
});

test("a name that exists is its own nearest", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 }),
      (known) => {
        // A longer name that begins with this one is as near by design: only exact equals are compared here.
        const name = known.reduce((longest, candidate) =>
          candidate.length > longest.length ? candidate : longest,
        );
        expect(nearestNames(name, known, 1)).toEqual([name]);
      },
    ),
  );
});

test("the list that was passed keeps its order", () => {
  const known = ["l2", "l1", "dot"];
  nearestNames("dot", known);
  expect(known).toEqual(["l2", "l1", "dot"]);
});
