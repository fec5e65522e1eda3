import { expect, test } from "vitest";
import fc from "fast-check";
import { random } from "../base/random.ts";
import { closure, completeTree, type Hierarchy } from "./hierarchy.ts";
import { rankNeighbours, type Ranking } from "./ranking.ts";

const family = closure("family", ["top", "middle", "leaf", "other"], [[], [0], [1], []]);

/** Sums of a few quotients of small whole numbers, in two orders. */
const ROUNDING = 1e-12;

function rankedBy(hierarchy: Hierarchy, table: readonly (readonly number[])[]): Ranking {
  return rankNeighbours(hierarchy, (node, scores) => scores.set(table[node]));
}

test("ancestors before all others give mean rank 1 and average precision 1", () => {
  const tree = completeTree(3, 3);
  const ranking = rankNeighbours(tree, (node, scores) => {
    scores.fill(0);
    for (const ancestor of tree.neighbours[node]) scores[ancestor] = 1;
  });
  expect(ranking).toEqual({ meanRank: 1, meanAveragePrecision: 1 });
});

test("a ranking worked out by hand", () => {
  // middle: leaf 3 > top 2 > other 1, so top has rank 2 and precision 1/2.
  // leaf: top 5 > other 4 > middle 3, so top has rank 1, middle rank 2 (top is ignored), precision (1/1 + 2/3) / 2.
  const ranking = rankedBy(family, [
    [0, 0, 0, 0],
    [2, 9, 3, 1],
    [5, 3, 9, 4],
    [0, 0, 0, 0],
  ]);
  expect(ranking.meanRank).toBeCloseTo((2 + 1 + 2) / 3, 12);
  expect(ranking.meanAveragePrecision).toBeCloseTo((1 / 2 + (1 + 2 / 3) / 2) / 2, 12);
});

test("a tie counts against the model, so that a collapsed embedding gets the worst ranking", () => {
  const collapsed = rankNeighbours(family, (_, scores) => scores.fill(0));
  const inverted = rankNeighbours(family, (node, scores) => {
    scores.fill(1);
    for (const ancestor of family.neighbours[node]) scores[ancestor] = 0;
  });
  expect(collapsed).toEqual(inverted);
});

test("the node's own score is not read", () => {
  const tree = completeTree(2, 3);
  const score = (own: number) => (node: number, scores: Float64Array) => {
    scores.forEach((_, other) => (scores[other] = -Math.abs(other - node)));
    scores[node] = own;
  };
  expect(rankNeighbours(tree, score(Infinity))).toEqual(rankNeighbours(tree, score(-Infinity)));
  expect(rankNeighbours(tree, score(Number.NaN))).toEqual(rankNeighbours(tree, score(0)));
});

/** Sorts all others, rivals first where scores tie, and reads ranks and precisions off the list. */
function bruteForce({ names, neighbours }: Hierarchy, table: readonly (readonly number[])[]): Ranking {
  const ranks: number[] = [];
  const precisions: number[] = [];
  names.forEach((_, node) => {
    const own = new Set(neighbours[node]);
    if (own.size === 0) return;
    const sorted = names
      .map((__, other) => other)
      .filter((other) => other !== node)
      .sort((a, b) => table[node][b] - table[node][a] || Number(own.has(a)) - Number(own.has(b)));
    const places = sorted.flatMap((other, place) => (own.has(other) ? [place] : []));
    places.forEach((place, found) => ranks.push(1 + place - found));
    precisions.push(places.reduce((sum, place, found) => sum + (found + 1) / (place + 1), 0) / own.size);
  });
  const mean = (numbers: number[]): number => numbers.reduce((a, b) => a + b) / numbers.length;
  return { meanRank: mean(ranks), meanAveragePrecision: mean(precisions) };
}

test("mean rank and mean average precision equal a brute-force sort, ties included", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 3 }),
      fc.nat(),
      fc.integer({ min: 2, max: 40 }),
      (branching, seed, levels) => {
        const tree = completeTree(branching, 3);
        const rng = random(seed);
        const table = tree.names.map(() => tree.names.map(() => rng.integer(levels)));
        const fast = rankedBy(tree, table);
        const slow = bruteForce(tree, table);
        expect(Math.abs(fast.meanRank - slow.meanRank)).toBeLessThan(ROUNDING);
        expect(Math.abs(fast.meanAveragePrecision - slow.meanAveragePrecision)).toBeLessThan(ROUNDING);
      },
    ),
  );
});

test("NaN scores and hierarchies without pairs are refused by name", () => {
  expect(() => rankNeighbours(family, (_, scores) => scores.fill(Number.NaN))).toThrow(
    "NaN for 'middle' against 'top'",
  );
  expect(() => rankNeighbours(closure("flat", ["a", "b"], [[], []]), () => undefined)).toThrow(
    "Cannot rank flat",
  );
});
