import { expect, test } from "vitest";
import fc from "fast-check";
import { random } from "../base/random.ts";
import { needle, needleVocabulary } from "./needle.ts";

const settings = fc
  .record({
    wordLength: fc.integer({ min: 1, max: 6 }),
    spare: fc.integer({ min: 1, max: 40 }),
    symbols: fc.integer({ min: 2, max: 10 }),
    fillers: fc.integer({ min: 1, max: 16 }),
    batch: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ spare, ...rest }) => ({ ...rest, length: 2 * rest.wordLength + spare }));

test("the mark stands twice, the word follows it, and the targets repeat the word after the second mark", () => {
  fc.assert(
    fc.property(settings, fc.nat(), (chosen, seed) => {
      const { length, wordLength, fillers, batch } = chosen;
      const { tokens, positions, targets } = needle(chosen, random(seed));
      const mark = needleVocabulary(chosen) - 1;
      for (let sequence = 0; sequence < batch; sequence++) {
        const row = [...tokens.subarray(sequence * length, (sequence + 1) * length)];
        const word = [...targets.subarray(sequence * wordLength, (sequence + 1) * wordLength)];
        const asked = length - wordLength;
        const shown = row.indexOf(mark);
        expect(row.flatMap((token, place) => (token === mark ? [place] : []))).toEqual([shown, asked]);
        expect(row.slice(shown + 1, shown + 1 + wordLength)).toEqual(word);
        expect(row.slice(asked + 1)).toEqual(word.slice(0, -1));
        expect([...positions.subarray(sequence * wordLength, (sequence + 1) * wordLength)]).toEqual(
          word.map((_, place) => asked + place),
        );
        const rest = [...row.slice(0, shown), ...row.slice(shown + 1 + wordLength, asked)];
        expect(rest.every((token) => token >= 0 && token < fillers)).toBe(true);
        expect(word.every((token) => token >= fillers && token < mark)).toBe(true);
      }
    }),
  );
});

test("depth 0 puts the word at the start, 1 just before the question, and none anywhere", () => {
  const chosen = { length: 32, batch: 200, wordLength: 4 };
  const placesAt = (change: { depth?: number }): number[] => {
    const { tokens } = needle({ ...chosen, ...change }, random(2));
    return Array.from({ length: chosen.batch }, (_, sequence) =>
      tokens.subarray(32 * sequence, 32 * (sequence + 1)).indexOf(needleVocabulary({}) - 1),
    );
  };
  expect(new Set(placesAt({ depth: 0 }))).toEqual(new Set([0]));
  expect(new Set(placesAt({ depth: 1 }))).toEqual(new Set([23]));
  expect(new Set(placesAt({})).size).toBe(24);
});

test("settings that leave no room are refused", () => {
  expect(() => needle({ length: 10, batch: 1 }, random(0))).toThrow("10 for a word of 5. Pass length ≥ 11");
  expect(() => needle({ length: 20, batch: 1, depth: 1.5 }, random(0))).toThrow("0 (start) to 1 (end): 1.5");
  expect(() => needle({ length: 20, batch: 1, symbols: 1 }, random(0))).toThrow(
    "symbols must be a whole number ≥ 2",
  );
});
