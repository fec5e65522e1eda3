import fc from "fast-check";
import { expect, test } from "vitest";
import { random } from "./random.ts";

const keys = fc.array(fc.oneof(fc.string({ maxLength: 8 }), fc.integer()), { maxLength: 4 });
const draws = (count: number, ...stream: readonly (number | string)[]): number[] => {
  const source = random(...stream);
  return Array.from({ length: count }, () => source.uniform());
};

test("the same keys give the same stream", () => {
  fc.assert(
    fc.property(keys, (stream) => {
      expect(draws(8, ...stream)).toEqual(draws(8, ...stream));
    }),
  );
});

test("the stream of a key never changes between versions, or saved runs would not resume", () => {
  expect(Array.from(draws(4, 1, "recall", 7), (value) => value * 2 ** 32)).toEqual([
    4012643519, 3988545680, 3475613067, 1130760691,
  ]);
});

test("different keys give different streams", () => {
  fc.assert(
    fc.property(keys, keys, (left, right) => {
      fc.pre(JSON.stringify(left) !== JSON.stringify(right));
      expect(draws(4, ...left)).not.toEqual(draws(4, ...right));
    }),
  );
});

test("an early key still counts when hundreds of characters follow it", () => {
  const label = "poincare+rope:scaling=pi,factor=4+strided:stride=3,local=2".repeat(10);
  const first = new Set(Array.from({ length: 1000 }, (_, seed) => random(seed, label).uniform()));
  // Two of a thousand 32-bit draws agree with probability 1e6/2/2^32 = 1e-4.
  expect(first.size).toBe(1000);
});

test("neighbouring seeds, the word of a number and joined words are different keys", () => {
  const streams = [[1], [2], ["1"], [1, 2], [12], ["a", "b"], ["ab"], ["b", "a"], []];
  expect(new Set(streams.map((stream) => draws(1, ...stream)[0])).size).toBe(streams.length);
});

const count = 64_000;

test("uniform draws fill 64 bins evenly", () => {
  const bins = new Int32Array(64);
  for (const value of draws(count, 3)) bins[Math.floor(value * 64)]++;
  const expected = count / 64;
  const chiSquared = bins.reduce((sum, bin) => sum + (bin - expected) ** 2 / expected, 0);
  // The seed is fixed. χ² with 63 degrees of freedom lies in (28, 118) with probability 0.9999.
  expect(chiSquared).toBeGreaterThan(28);
  expect(chiSquared).toBeLessThan(118);
});

test("the first draws of many seeds are as even as the draws of one", () => {
  const first = Array.from({ length: count }, (_, seed) => draws(1, seed)[0] ?? 0);
  const mean = first.reduce((sum, value) => sum + value) / count;
  const variance = first.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
  // Four standard errors: of a uniform mean √(1/12/n), of its variance √(1/180/n).
  expect(Math.abs(mean - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / count));
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(4 * Math.sqrt(1 / 180 / count));
});

test("normal draws have mean 0, deviation as asked, and the tails of a normal", () => {
  const deviation = 2;
  const values = [...random(5).normals(count, deviation)].map((value) => value / deviation);
  const moment = (power: number): number => values.reduce((sum, value) => sum + value ** power, 0) / count;
  // Four standard errors of the moments of N(0, 1), whose variances are 1, 2, 15 and 96.
  expect(Math.abs(moment(1))).toBeLessThan(4 * Math.sqrt(1 / count));
  expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / count));
  expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15 / count));
  expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / count));
});

test("successive normal draws are uncorrelated, as the pairs of Box–Muller must be", () => {
  const values = [...random(6).normals(count)];
  const products = values.slice(1).map((value, place) => value * (values[place] ?? 0));
  const correlation = products.reduce((sum, value) => sum + value, 0) / count;
  expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(count));
});

test("integers stay below their bound and reach every value", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 12 }), (seed, bound) => {
      const source = random(seed);
      const seen = new Set(Array.from({ length: 40 * bound }, () => source.integer(bound)));
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: bound }, (_, value) => value));
    }),
    // Missing a value in 40·bound draws has probability below bound·e⁻⁴⁰, whatever the seed.
    { seed: 7 },
  );
});

test("a bound that does not divide 2³² has no modulo bias", () => {
  const bound = 3 * 2 ** 30;
  const source = random(8);
  const below = Array.from({ length: count }, () => source.integer(bound)).filter(
    (draw) => draw < bound / 3,
  ).length;
  // With the bias of a plain remainder the lowest third would get one half.
  expect(Math.abs(below / count - 1 / 3)).toBeLessThan((4 * Math.sqrt((1 / 3) * (2 / 3))) / Math.sqrt(count));
});

test("distinct integers are distinct, below their bound, and all of them when all are asked for", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 200 }),
      fc.nat({ max: 200 }),
      (seed, bound, wanted) => {
        const asked = Math.min(wanted, bound);
        const chosen = random(seed).distinct(asked, bound);
        expect(chosen).toHaveLength(asked);
        expect(new Set(chosen).size).toBe(asked);
        expect(chosen.every((value) => value >= 0 && value < bound)).toBe(true);
      },
    ),
  );
});

test("distinct integers come in random order", () => {
  const source = random(9);
  const permutations = new Map<string, number>();
  const rounds = 12_000;
  for (let round = 0; round < rounds; round++) {
    const order = source.distinct(3, 3).join("");
    permutations.set(order, (permutations.get(order) ?? 0) + 1);
  }
  const expected = rounds / 6;
  const chiSquared = [...permutations.values()].reduce(
    (sum, seen) => sum + (seen - expected) ** 2 / expected,
    0,
  );
  expect(permutations.size).toBe(6);
  // χ² with 5 degrees of freedom is below 23.5 with probability 0.9997.
  expect(chiSquared).toBeLessThan(23.5);
});

test("bounds that no draw can keep are refused", () => {
  expect(() => random(1).integer(0)).toThrow(/must be whole and of \[1, 4294967296\]: 0/);
  expect(() => random(1).integer(2 ** 33)).toThrow(/Cannot draw an integer/);
  expect(() => random(1).distinct(3, 2)).toThrow(/distinct integers below 2/);
});
