import { expect, test } from "vitest";
import fc from "fast-check";
import { allowedError, rowsOf } from "../../test/rows.ts";
import { random } from "../base/random.ts";
import { copyTokens, type CopySettings } from "./copy.ts";

const settings: fc.Arbitrary<CopySettings> = fc
  .record({
    vocabulary: fc.integer({ min: 3, max: 40 }),
    half: fc.integer({ min: 2, max: 20 }),
    batch: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ half, ...rest }) => ({ ...rest, length: 2 * half }));

test("a sequence is 0w0w, and the token after every question is its answer", () => {
  fc.assert(
    fc.property(settings, fc.nat(), (made, seed) => {
      const { tokens, positions, targets } = copyTokens(made, random(seed));
      const half = made.length / 2;
      const places = rowsOf(positions, half - 1);
      const answers = rowsOf(targets, half - 1);
      rowsOf(tokens, made.length).forEach((row, sequence) => {
        const word = row.slice(1, half);
        expect(row).toEqual([0, ...word, 0, ...word]);
        expect(word.every((symbol) => symbol >= 1 && symbol < made.vocabulary)).toBe(true);
        expect(places[sequence]).toEqual(word.map((_, place) => half + place));
        expect(places[sequence].map((place) => row[place + 1])).toEqual(answers[sequence]);
      });
    }),
  );
});

test("symbols are uniform and tell nothing of the next: only the word itself does", () => {
  const draws = 20_000;
  const { tokens } = copyTokens({ vocabulary: 4, length: 6, batch: draws }, random(3));
  const pairs = new Map<string, number>();
  for (const [, first, second] of rowsOf(tokens, 6)) {
    pairs.set(`${first}${second}`, (pairs.get(`${first}${second}`) ?? 0) + 1);
  }
  expect(pairs.size).toBe(9);
  for (const count of pairs.values()) {
    expect(Math.abs(count / draws - 1 / 9)).toBeLessThan(allowedError(1 / 9, draws));
  }
});

test("the same stream gives the same batch, another step another", () => {
  const made = { vocabulary: 11, length: 20, batch: 2 };
  const at = (step: number): string => copyTokens(made, random(1, "copy", "train", step)).tokens.join();
  expect(at(4)).toBe(at(4));
  expect(at(4)).not.toBe(at(5));
});

test.each([
  [{ vocabulary: 2, length: 8, batch: 1 }, "vocabulary must be a whole number ≥ 3: 2"],
  [{ vocabulary: 8, length: 7, batch: 1 }, "its length must be even: 7. Pass 6 or 8"],
  [{ vocabulary: 8, length: 2, batch: 1 }, "length must be a whole number ≥ 4: 2"],
  [{ vocabulary: 8, length: 8, batch: 0.5 }, "batch must be a whole number ≥ 1: 0.5"],
])("%o is refused", (made, message) => {
  expect(() => copyTokens(made, random(1))).toThrow(message);
});
