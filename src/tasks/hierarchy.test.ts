import { expect, test } from "vitest";
import fc from "fast-check";
import { random } from "../base/random.ts";
import { closure, completeTree, hierarchySampler, type Hierarchy } from "./hierarchy.ts";

/** Random graphs without cycles: the parents of a node come before it, then all are relabelled. */
const acyclic: fc.Arbitrary<number[][]> = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.nat())
  .map(([size, seed]) => {
    const rng = random(seed);
    const label = rng.distinct(size, size);
    const parents: number[][] = Array.from({ length: size }, () => []);
    for (let node = 1; node < size; node++) {
      const count = Math.min(node, rng.integer(3));
      parents[label[node]] = [...rng.distinct(count, node)].map((parent) => label[parent]);
    }
    return parents;
  });

const named = (parents: number[][]): Hierarchy =>
  closure(
    "any",
    parents.map((_, node) => `n${node}`),
    parents,
  );

/** Floyd–Warshall on booleans. */
function reachable(parents: number[][]): boolean[][] {
  const reach = parents.map((list) => parents.map((_, other) => list.includes(other)));
  parents.forEach((_, via) =>
    reach.forEach((row) => {
      if (row[via]) reach[via].forEach((yes, to) => (row[to] ||= yes));
    }),
  );
  return reach;
}

test("the closure has exactly the pairs that a path upwards joins, in order, and so have the neighbours", () => {
  fc.assert(
    fc.property(acyclic, (parents) => {
      const { pairs, neighbours } = named(parents);
      const expected = reachable(parents).flatMap((row, node) =>
        row.flatMap((yes, ancestor) => (yes ? [[node, ancestor]] : [])),
      );
      expect([...pairs]).toEqual(expected.flat());
      expect(neighbours.flatMap((list, node) => [...list].map((ancestor) => [node, ancestor]))).toEqual(
        expected,
      );
    }),
  );
});

test("a diamond counts its top once", () => {
  expect([...closure("diamond", ["top", "l", "r", "bottom"], [[], [0], [0], [1, 2]]).pairs]).toEqual([
    1, 0, 2, 0, 3, 0, 3, 1, 3, 2,
  ]);
});

test("a cycle, an index out of range and missing lists are refused by name", () => {
  expect(() => closure("loop", ["a", "b", "c"], [[], [2], [1]])).toThrow(/loop.*'b' is on a cycle/);
  expect(() => closure("self", ["a"], [[0]])).toThrow("'a' is on a cycle");
  expect(() => closure("wild", ["a", "b"], [[], [2]])).toThrow("node 1 has parent 2, of 2 nodes");
  expect(() => closure("half", ["a", "b"], [[]])).toThrow("1 lists for 2 names");
});

test("a chain too long to close is refused before it fills the memory", () => {
  const size = 10_000;
  const parents = Array.from({ length: size }, (_, node) => (node === 0 ? [] : [node - 1]));
  expect(() => named(parents)).toThrow("at most 16777216 pairs");
});

test.each([
  [2, 1],
  [2, 5],
  [3, 4],
  [4, 3],
])(
  "a complete tree of branching %d and depth %d has the nodes and pairs of the formula",
  (branching, depth) => {
    const { names, pairs, neighbours } = completeTree(branching, depth);
    const levels = Array.from({ length: depth + 1 }, (_, level) => branching ** level);
    expect(names).toHaveLength(levels.reduce((a, b) => a + b));
    expect(pairs).toHaveLength(2 * levels.reduce((sum, count, level) => sum + count * level, 0));
    expect(new Set(names).size).toBe(names.length);
    names.forEach((name, node) => {
      const ancestors = [...neighbours[node]].map((ancestor) => names[ancestor]);
      expect(ancestors.every((ancestor) => name.startsWith(`${ancestor}.`))).toBe(true);
      expect(ancestors).toHaveLength(name.split(".").length - 1);
    });
  },
);

test("trees that are none, or too large, are refused", () => {
  expect(() => completeTree(1, 3)).toThrow("branching must be a whole number ≥ 2: 1");
  expect(() => completeTree(2, 0)).toThrow("depth must be a whole number ≥ 1: 0");
  expect(() => completeTree(10, 400)).toThrow("branching 10 and depth 400 give more");
});

test("a batch pairs each node with an ancestor, then with nodes that are neither ancestors nor itself", () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 0.75, 2), fc.nat(), (popularity, seed) => {
      const tree = completeTree(3, 3);
      const { nodes, candidates } = hierarchySampler(tree, popularity).batch(
        { size: 6, negatives: 20 },
        random(seed),
      );
      nodes.forEach((node, row) => {
        const [positive, ...negatives] = candidates.subarray(row * 21, (row + 1) * 21);
        expect(tree.neighbours[node].includes(positive)).toBe(true);
        expect(negatives.some((other) => other === node || tree.neighbours[node].includes(other))).toBe(
          false,
        );
      });
    }),
  );
});

const DRAWS = 60_000;
/** Five standard deviations of a frequency over DRAWS draws; the seed is fixed, so the outcome is too. */
const allowedError = (share: number): number => 5 * Math.sqrt((share * (1 - share)) / DRAWS);

test.each([0, 0.75])(
  "negatives follow (1 + descendants)^popularity over what is allowed, at %d",
  (popularity) => {
    const tree = completeTree(2, 2);
    const leaf = 3;
    const drawn = hierarchySampler(tree, popularity).negatives(leaf, DRAWS, random(5));
    const descendants = [6, 2, 2, 0, 0, 0, 0];
    const weights = descendants.map((count, node) =>
      [0, 1, leaf].includes(node) ? 0 : (1 + count) ** popularity,
    );
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((weight, node) => {
      const share = weight / total;
      const seen = drawn.filter((other) => other === node).length / DRAWS;
      expect(Math.abs(seen - share)).toBeLessThanOrEqual(allowedError(share));
    });
  },
);

test("pairs are drawn uniformly, and the same stream draws the same batch", () => {
  const tree = completeTree(2, 2);
  const sampler = hierarchySampler(tree);
  const { nodes, candidates } = sampler.batch({ size: DRAWS, negatives: 1 }, random(6));
  const share = 2 / tree.pairs.length;
  for (let pair = 0; pair < tree.pairs.length / 2; pair++) {
    const [node, ancestor] = tree.pairs.subarray(2 * pair, 2 * pair + 2);
    const seen =
      nodes.filter((drawn, row) => drawn === node && candidates[2 * row] === ancestor).length / DRAWS;
    expect(Math.abs(seen - share)).toBeLessThan(allowedError(share));
  }
  const again = (): Int32Array => sampler.batch({ size: 9, negatives: 4 }, random(7)).candidates;
  expect(again()).toEqual(again());
});

test("a hierarchy with nothing wrong to draw is refused, as is a bad exponent", () => {
  expect(() => hierarchySampler(named([[], [0], [1]]))).toThrow("to 'n2' all 2 others are ancestors");
  expect(() => hierarchySampler(named([[], []]))).toThrow("it has no pair");
  expect(() => hierarchySampler(completeTree(2, 2), -1)).toThrow("finite exponent ≥ 0: -1");
  expect(() => hierarchySampler(completeTree(2, 2)).batch({ size: 1, negatives: 0 }, random(0))).toThrow(
    "negatives must be a whole number ≥ 1: 0",
  );
});
