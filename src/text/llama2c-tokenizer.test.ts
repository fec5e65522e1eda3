import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeWithSharedData, sharedData } from "../../test/shared-data.ts";
import { llama2cTokenizer } from "./llama2c-tokenizer.ts";
import { type MergeOf, mergePairs } from "./merge-pairs.ts";

/** run.c's loop, as it stands there: look at all pairs, merge the best, begin again. */
function mergePairsByScanning(tokens: readonly number[], mergeOf: MergeOf): number[] {
  const left = [...tokens];
  for (;;) {
    let best: { place: number; token: number; score: number } | undefined;
    for (let place = 0; place + 1 < left.length; place++) {
      const merge = mergeOf(left[place], left[place + 1]);
      if (merge !== undefined && (best === undefined || merge.score > best.score)) best = { place, ...merge };
    }
    if (best === undefined) return left;
    left.splice(best.place, 2, best.token);
  }
}

test("merging with a heap is merging by scanning, equal scores included", () => {
  const rules = fc.uniqueArray(
    fc.record({
      pair: fc.tuple(fc.nat(5), fc.nat(5)),
      token: fc.nat(5),
      score: fc.integer({ min: -2, max: 1 }),
    }),
    { selector: ({ pair }) => pair.join(), maxLength: 30 },
  );
  fc.assert(
    fc.property(fc.array(fc.nat(5), { maxLength: 30 }), rules, (tokens, rules) => {
      const table = new Map(rules.map((rule) => [rule.pair.join(), rule]));
      const mergeOf: MergeOf = (left, right) => table.get(`${left},${right}`);
      expect(mergePairs(tokens, mergeOf)).toEqual(mergePairsByScanning(tokens, mergeOf));
    }),
    { numRuns: 500 },
  );
});

/** A tokenizer.bin with three marks, the bytes and more tokens. */
function layTokenizer(
  more: readonly { readonly text: string; readonly score: number }[],
  spelt: (byte: number) => string = (byte) => `<0x${byte.toString(16).padStart(2, "0").toUpperCase()}>`,
): Uint8Array<ArrayBuffer> {
  const marks = ["<unk>", "\n<s>\n", "\n</s>\n"];
  const byteTokens = Array.from({ length: 256 }, (_, byte) => spelt(byte));
  const entries = [...[...marks, ...byteTokens].map((text) => ({ text, score: 0 })), ...more];
  const parts = entries.map(({ text, score }) => {
    const piece = new TextEncoder().encode(text);
    const part = new Uint8Array(8 + piece.length);
    new DataView(part.buffer).setFloat32(0, score, true);
    new DataView(part.buffer).setInt32(4, piece.length, true);
    part.set(piece, 8);
    return part;
  });
  return Uint8Array.from([8, 0, 0, 0, ...parts.flatMap((part) => [...part])]);
}

const more = [
  { text: " ", score: -3 },
  { text: "a", score: -4 },
  { text: "b", score: -5 },
  { text: "ab", score: -1 },
  { text: " a", score: -2 },
];
const small = layTokenizer(more);

describe.each([
  ["laid by hand", small],
  ["with the bytes as characters, as older files have them", layTokenizer(more, String.fromCharCode)],
])("a tokenizer.bin %s", (_, file) => {
  const tokenizer = llama2cTokenizer(file);

  test.each([
    // The space in front and the best-scored pair first: " " + "ab", not " a" + "b".
    { text: "ab", tokens: [259, 262] },
    { text: "aab", tokens: [263, 262] },
    { text: "é", tokens: [259, 0xc3 + 3, 0xa9 + 3] },
    { text: "", tokens: [] },
  ])("encodes %o", ({ text, tokens }) => {
    expect(tokenizer.encode(text, { addSpecial: false })).toEqual(tokens);
    expect(tokenizer.encode(text)).toEqual([1, ...tokens]);
    expect(tokenizer.decode(tokens)).toBe(text);
  });
});

describe("a tokenizer.bin", () => {
  const tokenizer = llama2cTokenizer(small);

  test.each([
    { name: "cut inside a token", file: small.slice(0, -1) },
    { name: "cut inside the head of a token", file: small.slice(0, -6) },
    { name: "without the bytes", file: small.slice(0, 400) },
    { name: "empty", file: new Uint8Array(0) },
    { name: "with a length below zero", file: withNumber(small, 8, -5) },
    { name: "with a length beyond the file", file: withNumber(small, 8, 0x7fffffff) },
    { name: "with another text for a byte", file: withNumber(small, 4 + 13 + 13 + 14 + 8, 0x41414141) },
  ])("a file $name is refused", ({ file }) => {
    expect(() => llama2cTokenizer(file)).toThrow(expect.objectContaining({ code: "tokenizer-unreadable" }));
  });

  test("a tokenizer of another size than the model's is refused", () => {
    expect(() => llama2cTokenizer(small, { vocabularySize: 512, source: "tok512.bin" })).toThrow(
      "Cannot read tok512.bin as it must have the model's 512 tokens: 264 tokens. ",
    );
  });

  test.each([-1, 264, 1.5, Number.NaN])("token %d is refused", (token) => {
    expect(() => tokenizer.decode([token])).toThrow(expect.objectContaining({ code: "token-unknown" }));
  });
});

function withNumber(file: Uint8Array<ArrayBuffer>, place: number, value: number): Uint8Array<ArrayBuffer> {
  const copy = file.slice();
  new DataView(copy.buffer).setInt32(place, value, true);
  return copy;
}

describeWithSharedData("the tokenizer of stories260K", "stories260K/tok512.bin", (place) => {
  const tokenizer = llama2cTokenizer(readFileSync(place), { vocabularySize: 512 });

  test("decodes the published tokens to the published text, and encodes it back", () => {
    const published = (
      JSON.parse(readFileSync(sharedData("published.json") ?? "", "utf8")) as {
        stories260K: { text: string; ids: number[] };
      }
    ).stories260K;
    expect(tokenizer.decode(published.ids)).toBe(published.text);
    expect(tokenizer.encode(published.text)).toEqual([1, ...published.ids]);
  });

  test("any text comes back", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom(" a", "  ", "为什么\n🎉")),
        (text) => {
          expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
        },
      ),
    );
  });
});
