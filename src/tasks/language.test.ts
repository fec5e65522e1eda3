import { expect, test } from "vitest";
import fc from "fast-check";
import { random } from "../base/random.ts";
import {
  bitsPerCharacter,
  bytes,
  characters,
  corpus,
  heldOutWindows,
  normaliseText,
  randomWindows,
} from "./language.ts";

/** Any character but a half of a surrogate pair, which no file has. */
const anyCharacter = fc
  .integer({ min: 0, max: 0x10ffff - 0x800 })
  .map((code) => String.fromCodePoint(code < 0xd800 ? code : code + 0x800));
const someText = (minLength = 0): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.oneof(anyCharacter, fc.constantFrom("a", "b", "\n", "\uFEFF")),
    minLength,
    maxLength: 120,
  });

test.each([
  ["characters", characters],
  ["bytes", bytes],
])("%s: decoding undoes encoding, and every token is below the size", (_, vocabularyOf) => {
  fc.assert(
    fc.property(someText(), (text) => {
      const vocabulary = vocabularyOf(text);
      const tokens = vocabulary.encode(text);
      expect(vocabulary.decode(tokens)).toBe(text);
      expect(tokens.every((token) => token >= 0 && token < vocabulary.size)).toBe(true);
    }),
  );
});

test("characters are distinct code points in ascending order", () => {
  const vocabulary = characters("b😀ab\n");
  expect(vocabulary.size).toBe(4);
  expect(vocabulary.decode([0, 1, 2, 3])).toBe("\nab😀");
  expect([...vocabulary.encode("😀a")]).toEqual([3, 1]);
});

test("bytes keep a byte order mark, and show what is not UTF-8 as U+FFFD", () => {
  expect(bytes().decode(bytes().encode("\uFEFFa"))).toBe("\uFEFFa");
  expect(bytes().decode([0x61, 0xc3])).toBe("a\uFFFD");
});

test("unknown characters and tokens are named", () => {
  expect(() => characters("abc").encode("ab é")).toThrow('" " (U+0020) at 2');
  expect(() => characters("abc").encode("é")).toThrow("(U+00E9) at 0. Make the vocabulary from all the text");
  expect(() => characters("abc").decode([3])).toThrow("from 0 to 2: 3");
  expect(() => characters("abc").decode([0.5])).toThrow("from 0 to 2: 0.5");
  expect(() => bytes().decode([256])).toThrow("from 0 to 255: 256");
});

test("the three splits are contiguous, in order and all of the text, in shares of 90, 5 and 5 %", () => {
  fc.assert(
    fc.property(someText(40), fc.constantFrom(characters, bytes), (text, vocabularyOf) => {
      const { vocabulary, train, validation, test: held } = corpus("any", text, vocabularyOf);
      const parts = [train, validation, held].map(({ tokens }) => vocabulary.decode(tokens));
      expect(parts.join("")).toBe(text);
      // A cut inside a surrogate pair moves one place on.
      expect(Math.abs(parts[0].length - Math.floor(text.length * 0.9))).toBeLessThanOrEqual(1);
      expect(Math.abs(parts[2].length - (text.length - Math.floor(text.length * 0.95)))).toBeLessThanOrEqual(
        1,
      );
    }),
  );
});

test("tokens per character are 1 for characters and counted on the split itself for bytes", () => {
  const text = "é".repeat(190) + "abcdefghij";
  expect(corpus("mixed", text).test.tokensPerCharacter).toBe(1);
  expect(corpus("mixed", text, bytes).train.tokensPerCharacter).toBe(2);
  expect(corpus("mixed", text, bytes).test.tokensPerCharacter).toBe(1);
});

test("a text too short to split is refused", () => {
  expect(() => corpus("tiny", "x".repeat(39))).toThrow(
    "Cannot split tiny as it must have at least 40 characters: 39",
  );
});

const letters = corpus("letters", "abcdefghijklmnopqrstuvwxyz".repeat(100));

test("random windows are stretches of the split with their followers, and depend on the stream alone", () => {
  const at = (step: number) =>
    randomWindows(letters.train, { count: 8, length: 30 }, random(1, "language", "train", step));
  const { inputs, targets } = at(0);
  expect(targets).toEqual(inputs.map((token) => (token + 1) % 26));
  for (let window = 0; window < 8; window++) {
    const start = 30 * window;
    expect(inputs.subarray(start + 1, start + 30)).toEqual(targets.subarray(start, start + 29));
  }
  expect(at(4)).toEqual(at(4));
  expect(at(4).inputs).not.toEqual(at(5).inputs);
});

test("random windows reach every start, the first and the last included", () => {
  const split = { tokens: Int32Array.from({ length: 12 }, (_, place) => place), tokensPerCharacter: 1 };
  const { inputs } = randomWindows(split, { count: 400, length: 3 }, random(0));
  const starts = new Set(Array.from({ length: 400 }, (_, window) => inputs[3 * window]));
  expect([...starts].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test("held-out windows predict each token but the first once, in order, and leave out a short rest", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200 }), fc.integer({ min: 1, max: 50 }), (size, length) => {
      fc.pre(size > length);
      const split = { tokens: Int32Array.from({ length: size }, (_, place) => place), tokensPerCharacter: 1 };
      const { count, inputs, targets } = heldOutWindows(split, length);
      expect(count).toBe(Math.floor((size - 1) / length));
      expect([...inputs]).toEqual(Array.from({ length: count * length }, (_, place) => place));
      expect([...targets]).toEqual(Array.from({ length: count * length }, (_, place) => place + 1));
    }),
  );
});

test("a limit takes evenly spread windows of the same grid", () => {
  const split = { tokens: Int32Array.from({ length: 101 }, (_, place) => place), tokensPerCharacter: 1 };
  const { count, inputs } = heldOutWindows(split, 10, 4);
  expect(count).toBe(4);
  expect([0, 1, 2, 3].map((window) => inputs[10 * window])).toEqual([0, 20, 50, 70]);
  expect(heldOutWindows(split, 10, 99).count).toBe(10);
});

test("windows that do not fit are refused with the length that would", () => {
  const split = { tokens: new Int32Array(10), tokensPerCharacter: 1 };
  expect(() => heldOutWindows(split, 10)).toThrow("length 10, split 10. Use a longer text or a length ≤ 9");
  expect(() => randomWindows(split, { count: 1, length: 10 }, random(0))).toThrow("length ≤ 9");
  expect(() => randomWindows(split, { count: 0, length: 5 }, random(0))).toThrow(
    "count must be a whole number",
  );
  expect(() => heldOutWindows(split, 0)).toThrow("length must be a whole number ≥ 1: 0");
  expect(() => heldOutWindows(split, 2, 0)).toThrow("limit must be a whole number ≥ 1: 0");
});

test("bits per character are nats over ln 2, times the tokens of a character", () => {
  expect(bitsPerCharacter(Math.log(8))).toBeCloseTo(3, 12);
  expect(bitsPerCharacter(Math.log(8), 1.5)).toBeCloseTo(4.5, 12);
});

test("normalising changes line ends and file marks and nothing else", () => {
  expect(normaliseText("\uFEFFa\r\nb\rc\n\r\nd \t é\u001A\u001A\n")).toBe("a\nb\nc\n\nd \t é\n");
});
