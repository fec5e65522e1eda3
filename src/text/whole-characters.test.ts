import fc from "fast-check";
import { expect, test } from "vitest";
import { type TokenBytes, characterGroups, decodeTokens, wholeCharacters } from "./whole-characters.ts";

/** Tokens that are the given bytes; the last one is a mark. */
function pieces(...bytes: readonly (readonly number[])[]): TokenBytes {
  return {
    vocabularySize: bytes.length + 1,
    specialTokens: { all: new Set([bytes.length]) },
    addsSpaceInFront: false,
    bytesOf: (token) =>
      token === bytes.length ? new TextEncoder().encode("<end>") : Uint8Array.from(bytes[token]),
  };
}

const utf8 = (text: string): number[] => [...new TextEncoder().encode(text)];
const oneShot = (bytes: readonly number[]): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));

/** A list cut at places that the numbers choose, empty parts included. */
function cut(bytes: readonly number[], cuts: readonly number[]): number[][] {
  const places = [0, ...cuts.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, part) => bytes.slice(places[part], end));
}

// Bytes that open, continue and break characters, more often than chance would have them.
const anyBytes = fc.array(
  fc.oneof(fc.constantFrom(0xe4, 0xbd, 0xa0, 0xf0, 0x9f, 0xed, 0xa0, 0xf4, 0x90, 0xc0, 0x41), fc.nat(255)),
  { maxLength: 24 },
);
const realText = fc.string({ unit: "grapheme", maxLength: 12 }).map(utf8);

test("however bytes are split into tokens, the stream says what the whole says", () => {
  fc.assert(
    fc.property(fc.oneof(anyBytes, realText), fc.array(fc.nat(), { maxLength: 8 }), (bytes, cuts) => {
      const parts = cut(bytes, cuts);
      const vocabulary = pieces(...parts);
      const tokens = parts.map((_, token) => token);
      expect(decodeTokens(vocabulary, tokens)).toBe(oneShot(bytes));
      const groups = characterGroups(vocabulary, tokens);
      expect(groups.map(({ text }) => text).join("")).toBe(oneShot(bytes));
      expect(groups.flatMap((group) => group.tokens)).toEqual(tokens);
      for (const { first, tokens: members } of groups) expect(tokens[first]).toBe(members[0]);
    }),
    { numRuns: 400 },
  );
});

test("whole characters of a text never show a replacement character before the end", () => {
  const bytes = utf8("天空之所以🎉é");
  for (let at = 1; at < bytes.length; at++) {
    const characters = wholeCharacters(pieces(bytes.slice(0, at), bytes.slice(at)));
    const shown = [characters.push(0), characters.push(1)];
    expect(shown.join("")).toBe("天空之所以🎉é");
    expect(shown[0]).not.toContain("\uFFFD");
    expect(characters.flush()).toBe("");
  }
});

test("a stream that ends inside a character says so once, when it is flushed", () => {
  const characters = wholeCharacters(pieces([0x41, 0xe5], [0xa4]));
  expect([characters.push(0), characters.push(1)]).toEqual(["A", ""]);
  expect(characters.isWaiting).toBe(true);
  expect([characters.flush(), characters.flush()]).toEqual(["\uFFFD", ""]);
});

test("tokens of one character are one group, at the place of the first", () => {
  const vocabulary = pieces([0x41], [0xe5], [0xa4, 0xa9], utf8("空"));
  expect(characterGroups(vocabulary, [0, 1, 2, 3])).toEqual([
    { text: "A", first: 0, tokens: [0] },
    { text: "天", first: 1, tokens: [1, 2] },
    { text: "空", first: 3, tokens: [3] },
  ]);
});

test("marks are hidden or shown by name, also between the bytes of a character", () => {
  const vocabulary = pieces([0xe5], [0xa4, 0xa9]);
  expect(decodeTokens(vocabulary, [0, 2, 1])).toBe("天");
  expect(decodeTokens(vocabulary, [0, 1, 2], { showSpecial: true })).toBe("天<end>");
});

test.each([
  { tokens: [0, 0], options: {}, text: "a a" },
  { tokens: [0, 0], options: { continues: true }, text: " a a" },
  { tokens: [2, 0], options: { showSpecial: true }, text: "<end>a" },
  { tokens: [1, 0], options: {}, text: "b a" },
])("the tokenizer's own space in front goes once: %o", ({ tokens, options, text }) => {
  const vocabulary = { ...pieces(utf8(" a"), utf8("b")), addsSpaceInFront: true };
  expect(decodeTokens(vocabulary, tokens, options)).toBe(text);
});
