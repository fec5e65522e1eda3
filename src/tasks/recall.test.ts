import { expect, test } from "vitest";
import fc from "fast-check";
import { allowedError, rowsOf } from "../../test/rows.ts";
import { random } from "../base/random.ts";
import { recallTokens, recallVectors, valueTable, type RecallTokenSettings } from "./recall.ts";

const tokenSettings: fc.Arbitrary<RecallTokenSettings> = fc
  .record({
    pairs: fc.integer({ min: 1, max: 12 }),
    spareLength: fc.integer({ min: 0, max: 40 }),
    spareVocabulary: fc.integer({ min: 0, max: 60 }),
    batch: fc.integer({ min: 1, max: 3 }),
    powerA: fc.constantFrom(0.01, 0.5, 1, 2),
    fillers: fc.constantFrom("zero" as const, "random" as const),
  })
  .map(({ pairs, spareLength, spareVocabulary, ...rest }) => ({
    ...rest,
    pairs,
    length: 4 * pairs + spareLength,
    vocabulary: 2 * pairs + 2 + spareVocabulary,
  }));

test("a sequence opens with pairs of distinct keys and distinct values from their halves of the vocabulary", () => {
  fc.assert(
    fc.property(tokenSettings, fc.nat(), (settings, seed) => {
      const { tokens } = recallTokens(settings, random(seed));
      const half = Math.floor(settings.vocabulary / 2);
      for (const row of rowsOf(tokens, settings.length)) {
        const context = row.slice(0, 2 * settings.pairs);
        const keys = context.filter((_, place) => place % 2 === 0);
        const values = context.filter((_, place) => place % 2 === 1);
        expect(new Set(keys).size).toBe(settings.pairs);
        expect(new Set(values).size).toBe(settings.pairs);
        expect(keys.every((key) => key >= 1 && key < half)).toBe(true);
        expect(values.every((value) => value >= half && value < settings.vocabulary)).toBe(true);
      }
    }),
  );
});

test("every query is a key of the context, asked once, and its target is the value that followed the key", () => {
  fc.assert(
    fc.property(tokenSettings, fc.nat(), (settings, seed) => {
      const { pairs, length } = settings;
      const { tokens, positions, targets } = recallTokens(settings, random(seed));
      const places = rowsOf(positions, pairs);
      const answers = rowsOf(targets, pairs);
      rowsOf(tokens, length).forEach((row, sequence) => {
        const valueOf = new Map(
          Array.from({ length: pairs }, (_, pair) => [row[2 * pair], row[2 * pair + 1]]),
        );
        const asked = places[sequence].map((place) => row[place]);
        expect(new Set(places[sequence]).size).toBe(pairs);
        expect(new Set(asked)).toEqual(new Set(valueOf.keys()));
        expect(asked.map((key) => valueOf.get(key))).toEqual(answers[sequence]);
        expect(places[sequence].every((place) => place >= 2 * pairs && place < length)).toBe(true);
      });
    }),
  );
});

test("no filler fakes a pair: before its query a key occurs once, in its pair", () => {
  fc.assert(
    fc.property(tokenSettings, fc.nat(), (settings, seed) => {
      const { tokens, positions } = recallTokens(settings, random(seed));
      const places = rowsOf(positions, settings.pairs);
      rowsOf(tokens, settings.length).forEach((row, sequence) => {
        for (const place of places[sequence]) {
          const earlier = row
            .slice(0, place)
            .flatMap((token, index) => (token === row[place] ? [index] : []));
          expect(earlier).toHaveLength(1);
          expect(earlier[0]).toBeLessThan(2 * settings.pairs);
          expect(earlier[0] % 2).toBe(0);
        }
      });
    }),
  );
});

test("places that ask nothing hold 0, or any token but the sequence's keys", () => {
  const settings = { vocabulary: 12, length: 400, pairs: 3, batch: 1 };
  const isFiller = (place: number, positions: Int32Array): boolean =>
    place >= 6 && !positions.includes(place);
  const zero = recallTokens(settings, random(1));
  expect([...zero.tokens].filter((token, place) => isFiller(place, zero.positions) && token !== 0)).toEqual(
    [],
  );

  const mixed = recallTokens({ ...settings, fillers: "random" }, random(1));
  const keys = new Set([0, 2, 4].map((place) => mixed.tokens[place]));
  const used = new Set([...mixed.tokens].filter((_, place) => isFiller(place, mixed.positions)));
  expect([...used].sort((a, b) => a - b)).toEqual(
    Array.from({ length: 12 }, (_, token) => token).filter((token) => !keys.has(token)),
  );
});

/** Draws of every frequency; the seed is fixed. */
const DRAWS = 20_000;

test.each([0.01, 0.5, 1, 2])(
  "the first gap follows p(g) ∝ g^(a−1), and a second one the same law without the first, at a = %d",
  (powerA) => {
    const space = 8;
    const total = Array.from({ length: space }, (_, slot) => (slot + 1) ** (powerA - 1)).reduce(
      (a, b) => a + b,
    );
    const law = Array.from({ length: space }, (_, slot) => (slot + 1) ** (powerA - 1) / total);
    const pairs = 2;
    const settings = { vocabulary: 16, length: 2 * pairs + 2 * space, pairs, batch: DRAWS, powerA };
    const slots = rowsOf(recallTokens(settings, random(7)).positions, pairs).map((places) =>
      places.map((place) => (place - 2 * pairs) / 2),
    );
    for (let slot = 0; slot < space; slot++) {
      const first = slots.filter(([one]) => one === slot).length / DRAWS;
      const second = slots.filter(([, two]) => two === slot).length / DRAWS;
      const expectedSecond = law.reduce(
        (sum, share, taken) => (taken === slot ? sum : sum + (share * law[slot]) / (1 - share)),
        0,
      );
      expect(Math.abs(first - law[slot])).toBeLessThan(allowedError(law[slot], DRAWS));
      expect(Math.abs(second - expectedSecond)).toBeLessThan(allowedError(expectedSecond, DRAWS));
    }
  },
);

test("the same stream gives the same batch, another step another one", () => {
  const settings = { vocabulary: 64, length: 32, pairs: 4, batch: 2, fillers: "random" } as const;
  const at = (step: number): Int32Array => recallTokens(settings, random(3, "recall", "train", step)).tokens;
  expect(at(5)).toEqual(at(5));
  expect(at(5)).not.toEqual(at(6));
});

test("settings that cannot be met are refused with the numbers that would do", () => {
  const good = { vocabulary: 64, length: 64, pairs: 8, batch: 1 };
  const attempt = (change: Partial<RecallTokenSettings>) => () =>
    recallTokens({ ...good, ...change }, random(0));
  expect(attempt({ length: 31 })).toThrow("4 × 8 > 31. Pass length ≥ 32 or pairs ≤ 7");
  expect(attempt({ vocabulary: 17 })).toThrow("7 keys for 8 pairs. Pass vocabulary ≥ 18");
  expect(attempt({ pairs: 1.5 })).toThrow("pairs must be a whole number ≥ 1: 1.5");
  expect(attempt({ batch: 0 })).toThrow("batch must be a whole number ≥ 1: 0");
  expect(attempt({ powerA: 0 })).toThrow("finite powerA > 0: 0");
  expect(attempt({ powerA: Number.NaN })).toThrow("finite powerA > 0: NaN");
});

const vectorSettings = fc.record({
  pairs: fc.integer({ min: 1, max: 10 }),
  keyWidth: fc.integer({ min: 2, max: 6 }),
  batch: fc.integer({ min: 1, max: 3 }),
});

test("a query vector is the key of one pair with an empty value, and its target the class of that pair's value", () => {
  fc.assert(
    fc.property(vectorSettings, fc.integer({ min: 1, max: 5 }), fc.nat(), (settings, valueWidth, seed) => {
      const { pairs, keyWidth } = settings;
      const values = valueTable(pairs + 3, valueWidth, random(seed, "values"));
      const { inputs, positions, targets } = recallVectors(settings, values, random(seed));
      const width = keyWidth + valueWidth;
      const input = (sequence: number, place: number): number[] => {
        const start = (sequence * 2 * pairs + place) * width;
        return [...inputs.subarray(start, start + width)];
      };
      for (let sequence = 0; sequence < settings.batch; sequence++) {
        const seen = new Set<number>();
        for (let slot = 0; slot < pairs; slot++) {
          expect(positions[sequence * pairs + slot]).toBe(pairs + slot);
          const query = input(sequence, pairs + slot);
          expect(query.slice(keyWidth)).toEqual(Array.from({ length: valueWidth }, () => 0));
          const matches = Array.from({ length: pairs }, (_, pair) => input(sequence, pair)).filter((shown) =>
            shown.slice(0, keyWidth).every((coordinate, axis) => coordinate === query[axis]),
          );
          const target = targets[sequence * pairs + slot];
          const row = [...values.rows.subarray(target * valueWidth, (target + 1) * valueWidth)];
          expect(matches.map((shown) => shown.slice(keyWidth))).toEqual([row]);
          seen.add(target);
        }
        expect(seen.size).toBe(pairs);
      }
    }),
  );
});

test("one attention over the shown pairs answers every query", () => {
  const settings = { pairs: 16, keyWidth: 8, batch: 8 };
  const values = valueTable(32, 16, random(0, "values"));
  const { inputs, targets } = recallVectors(settings, values, random(0));
  const { pairs, keyWidth } = settings;
  const width = keyWidth + values.valueWidth;
  const scale = 20;
  const indexOfMost = (numbers: readonly number[]): number => numbers.indexOf(Math.max(...numbers));
  const answers = Array.from(targets, (_, query) => {
    const sequence = Math.floor(query / pairs);
    const shown = (place: number): Float32Array =>
      inputs.subarray((sequence * 2 * pairs + place) * width, (sequence * 2 * pairs + place + 1) * width);
    const asked = shown(pairs + (query % pairs));
    const weights = Array.from({ length: pairs }, (_, pair) =>
      Math.exp(
        -scale * asked.subarray(0, keyWidth).reduce((sum, q, axis) => sum + (q - shown(pair)[axis]) ** 2, 0),
      ),
    );
    const output = Array.from({ length: values.valueWidth }, (_, axis) =>
      weights.reduce((sum, weight, pair) => sum + weight * shown(pair)[keyWidth + axis], 0),
    );
    return indexOfMost(
      Array.from({ length: values.classes }, (_, row) =>
        output.reduce((sum, value, axis) => {
          const entry = values.rows[row * values.valueWidth + axis];
          return sum - (value - entry) ** 2;
        }, 0),
      ),
    );
  });
  expect(answers).toEqual([...targets]);
});

test("keys have unit variance, and noise moves a query's key by its standard deviation", () => {
  const settings = { pairs: 50, keyWidth: 20, batch: 20 };
  const values = valueTable(50, 1, random(0, "values"));
  const noisy = recallVectors({ ...settings, noise: 0.5 }, values, random(0));
  const meanSquareOfKey = (from: number): number => {
    let sum = 0;
    for (let sequence = 0; sequence < 20; sequence++) {
      for (let place = from; place < from + 50; place++) {
        const start = (sequence * 100 + place) * 21;
        sum += noisy.inputs.subarray(start, start + 20).reduce((total, value) => total + value * value, 0);
      }
    }
    return sum / (20 * 50 * 20);
  };
  // The mean square of 20,000 normal numbers has a standard deviation of 1 %; 5 % are five of them.
  expect(Math.abs(meanSquareOfKey(0) - 1)).toBeLessThan(0.05);
  expect(Math.abs(meanSquareOfKey(50) - 1.25)).toBeLessThan(0.0625);
});

test("vector settings that cannot be met are refused with the numbers that would do", () => {
  const values = valueTable(4, 2, random(0));
  const attempt = (change: object) => () =>
    recallVectors({ pairs: 4, keyWidth: 2, batch: 1, ...change }, values, random(0));
  expect(attempt({ pairs: 5 })).toThrow(
    "4 classes for 5 pairs. Make the value table with at least 5 classes",
  );
  expect(attempt({ noise: -1 })).toThrow("standard deviation ≥ 0: -1");
  expect(attempt({ keyWidth: 0 })).toThrow("keyWidth must be a whole number ≥ 1: 0");
  expect(() => valueTable(1, 2, random(0))).toThrow("classes must be a whole number ≥ 2: 1");
});
