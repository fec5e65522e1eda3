import { expect, test } from "vitest";
import fc from "fast-check";
import { extrapolationWindows, type ExtrapolationWindows } from "./extrapolation.ts";

const splitOf = (size: number) => ({
  tokens: Int32Array.from({ length: size }, (_, place) => place),
  tokensPerCharacter: 1,
});

/** The tokens whose prediction counts; here a token is its own place in the text. */
function scored({ count, length, targets, scoredFrom }: ExtrapolationWindows): number[] {
  return Array.from({ length: count }, (_, window) => [
    ...targets.subarray(window * length + scoredFrom, (window + 1) * length),
  ])
    .flat()
    .sort((a, b) => a - b);
}

const cases = fc.record({
  trainedLength: fc.integer({ min: 1, max: 8 }),
  wholeBlocks: fc.integer({ min: 1, max: 4 }),
  rest: fc.integer({ min: 1, max: 20 }),
  scoring: fc.constantFrom("all" as const, "last" as const),
});

test("every length scores the same tokens of the text, each of them once", () => {
  fc.assert(
    fc.property(cases, ({ trainedLength, wholeBlocks, rest, scoring }) => {
      const size = 16 * trainedLength * wholeBlocks + rest;
      const sets = extrapolationWindows(splitOf(size), trainedLength, { scoring });
      expect(sets.map(({ factor }) => factor)).toEqual([1, 2, 4, 8, 16]);
      expect(sets.map(({ length }) => length)).toEqual(
        [1, 2, 4, 8, 16].map((factor) => factor * trainedLength),
      );
      const tokens = scored(sets[0]);
      expect(new Set(tokens).size).toBe(tokens.length);
      for (const set of sets) expect(scored(set)).toEqual(tokens);
    }),
  );
});

test("scoring all covers whole blocks; scoring the last N gives one window a block, with the context before it", () => {
  const split = splitOf(2 * 64 + 1);
  const all = extrapolationWindows(split, 4);
  expect(scored(all[4])).toEqual(Array.from({ length: 128 }, (_, place) => place + 1));
  expect(all.map(({ count }) => count)).toEqual([32, 16, 8, 4, 2]);

  const last = extrapolationWindows(split, 4, { scoring: "last" });
  expect(scored(last[4])).toEqual([61, 62, 63, 64, 125, 126, 127, 128]);
  expect(last.map(({ count }) => count)).toEqual([2, 2, 2, 2, 2]);
  expect([...last[1].inputs]).toEqual([
    56, 57, 58, 59, 60, 61, 62, 63, 120, 121, 122, 123, 124, 125, 126, 127,
  ]);
  expect(last.map(({ scoredFrom }) => scoredFrom)).toEqual([0, 4, 12, 28, 60]);
});

test("a limit of blocks spreads them over the split", () => {
  const [first] = extrapolationWindows(splitOf(10 * 8 + 1), 2, { factors: [1, 2, 4], blocks: 2 });
  expect(first.inputs[0]).toBe(0);
  expect(first.inputs[8]).toBe(40);
  expect(first.count).toBe(8);
});

test("factors that do not nest, and texts that are too short, are refused", () => {
  const split = splitOf(100);
  const attempt = (factors: number[]) => () => extrapolationWindows(split, 2, { factors });
  expect(attempt([])).toThrow("must be whole numbers that ascend and divide the last: []");
  expect(attempt([1, 3, 4])).toThrow("[1, 3, 4]");
  expect(attempt([2, 1])).toThrow("[2, 1]");
  expect(attempt([0.5, 1])).toThrow("[0.5, 1]");
  expect(() => extrapolationWindows(split, 7)).toThrow("length 112, split 100");
  expect(() => extrapolationWindows(split, 0)).toThrow("trainedLength must be a whole number ≥ 1: 0");
  expect(() => extrapolationWindows(split, 1, { blocks: 0 })).toThrow("blocks must be a whole number ≥ 1: 0");
});
