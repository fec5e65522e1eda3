/**
 * @file Language: predict the next character or byte of a text. Vocabularies, the split of a text into contiguous
 * training, validation and test parts, windows of it, and the measure that every text shares: bits per character.
 */
import { DomainError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { requireWhole } from "./whole-number.ts";

/** A reversible map between text and numbers 0 … size − 1. */
export interface Vocabulary {
  readonly unit: "character" | "byte";
  readonly size: number;
  /** @throws DomainError `character-unknown` when the text has a character that the vocabulary lacks */
  encode(text: string): Int32Array;
  /** @throws DomainError `token-unknown` when a number is not one of the vocabulary's */
  decode(tokens: ArrayLike<number>): string;
}

/**
 * The distinct characters (Unicode code points) of a text, sorted by code point.
 *
 * @param text - all text that will ever be encoded, held-out parts included
 * @example
 * ```ts
 * import { characters } from "qklab/tasks";
 * const vocabulary = characters("banana");
 * vocabulary.encode("ban"); // Int32Array [1, 0, 2]
 * ```
 */
export function characters(text: string): Vocabulary {
  const codePoints = [...new Set(text)].map((character) => character.codePointAt(0)!).sort((a, b) => a - b);
  const symbols = codePoints.map((codePoint) => String.fromCodePoint(codePoint));
  const tokenOf = new Map(symbols.map((symbol, token) => [symbol, token]));
  return {
    unit: "character",
    size: symbols.length,
    encode(source) {
      const tokens = new Int32Array(source.length);
      let count = 0;
      for (const character of source) {
        const token = tokenOf.get(character);
        if (token === undefined) throw unknownCharacter(character, count);
        tokens[count++] = token;
      }
      return tokens.slice(0, count);
    },
    decode(tokens) {
      return Array.from(tokens, (token) => symbols[requireToken(token, symbols.length)]).join("");
    },
  };
}

/**
 * All 256 bytes of UTF-8: any text can be encoded. Bytes that are not UTF-8, as a model may produce, decode to U+FFFD.
 *
 * @example
 * ```ts
 * import { bytes } from "qklab/tasks";
 * bytes().encode("é"); // Int32Array [195, 169]
 * ```
 */
export function bytes(): Vocabulary {
  return {
    unit: "byte",
    size: 256,
    encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
    decode: (tokens) =>
      new TextDecoder("utf-8", { ignoreBOM: true }).decode(
        Uint8Array.from(tokens, (token) => requireToken(token, 256)),
      ),
  };
}

/** One contiguous part of a text. */
export interface Split {
  readonly tokens: Int32Array;
  /** 1 for a character vocabulary; the mean bytes of a character for bytes. */
  readonly tokensPerCharacter: number;
}

/** A text, encoded and split. */
export interface Corpus {
  readonly name: string;
  readonly vocabulary: Vocabulary;
  /** The first 90 % of the characters. */
  readonly train: Split;
  /** The next 5 %, for choosing settings. */
  readonly validation: Split;
  /** The last 5 %, for the numbers that are reported. */
  readonly test: Split;
}

/** Fewer characters than this leave a held-out part without a single prediction. */
const SHORTEST_TEXT = 40;

/**
 * Encodes a text and splits it 90 / 5 / 5 into contiguous parts: random sentences held out of a book would share its
 * every name and phrase with their neighbours.
 *
 * @param name - what reports call it
 * @param text - at least 40 characters
 * @param vocabularyOf - {@link characters} (default; made from the whole text, as nanoGPT does) or {@link bytes}
 * @throws DomainError `corpus-short`
 * @example
 * ```ts
 * import { bytes, corpus } from "qklab/tasks";
 * const { train } = corpus("hello", "hello, world\n".repeat(100), bytes);
 * train.tokens.length; // 1170
 * ```
 */
export function corpus(
  name: string,
  text: string,
  vocabularyOf: (text: string) => Vocabulary = characters,
): Corpus {
  if (text.length < SHORTEST_TEXT) {
    throw new DomainError(
      "corpus-short",
      `Cannot split ${name} as it must have at least ${SHORTEST_TEXT} characters: ${text.length}. Use a longer text`,
    );
  }
  const vocabulary = vocabularyOf(text);
  const split = (from: number, to: number): Split => {
    const part = text.slice(cutAt(text, from), cutAt(text, to));
    const tokens = vocabulary.encode(part);
    return { tokens, tokensPerCharacter: tokens.length / countCharacters(part) };
  };
  return { name, vocabulary, train: split(0, 0.9), validation: split(0.9, 0.95), test: split(0.95, 1) };
}

/** Stretches of text, and for each place the token that follows it. */
export interface Windows {
  /** W */
  readonly count: number;
  /** L */
  readonly length: number;
  /** [W, L] */
  readonly inputs: Int32Array;
  /** [W, L]: the inputs, one place later in the text. */
  readonly targets: Int32Array;
}

/**
 * Windows that start anywhere, each place equally likely.
 *
 * @param split - usually `corpus.train`
 * @param shape - `count` windows (the batch) of `length` tokens
 * @param rng - `random(seed, "language", "train", step)`, so that a step's data depend on nothing but seed and step
 * @throws DomainError `bad-setting` or `split-short`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { corpus, randomWindows } from "qklab/tasks";
 * const { train } = corpus("hello", "hello, world\n".repeat(100));
 * const { inputs, targets } = randomWindows(train, { count: 4, length: 32 }, random(1, "language", "train", 0));
 * inputs[1] === targets[0]; // true
 * ```
 */
export function randomWindows(
  split: Split,
  shape: { readonly count: number; readonly length: number },
  rng: Random,
): Windows {
  const { count, length } = shape;
  requireWhole("cut windows", "count", count, 1);
  const starts = requireRoom(split, length);
  return windowsAt(
    split.tokens,
    Array.from({ length: count }, () => rng.integer(starts)),
    length,
  );
}

/**
 * Windows side by side, from the start of the split on: every token but the first is predicted once, and a remainder
 * shorter than a window is left out.
 *
 * @param split - usually `corpus.validation` or `corpus.test`
 * @param length - tokens of a window
 * @param limit - use at most so many windows, evenly spread over the split; default all
 * @throws DomainError `bad-setting` or `split-short`
 * @example
 * ```ts
 * import { corpus, heldOutWindows } from "qklab/tasks";
 * const { test } = corpus("hello", "hello, world\n".repeat(100));
 * heldOutWindows(test, 16).count; // 4, of the 65 tokens of the split
 * ```
 */
export function heldOutWindows(split: Split, length: number, limit: number = Infinity): Windows {
  if (limit !== Infinity) requireWhole("cut windows", "limit", limit, 1);
  requireRoom(split, length);
  const available = Math.floor((split.tokens.length - 1) / length);
  return windowsAt(
    split.tokens,
    spread(available, limit).map((window) => window * length),
    length,
  );
}

/**
 * Bits per character: loss / ln 2 × tokens per character.
 *
 * @param natsPerToken - mean cross-entropy, in nats
 * @param tokensPerCharacter - of the split it was measured on; default 1
 * @example
 * ```ts
 * import { bitsPerCharacter } from "qklab/tasks";
 * bitsPerCharacter(Math.log(2)); // 1
 * ```
 */
export function bitsPerCharacter(natsPerToken: number, tokensPerCharacter: number = 1): number {
  return (natsPerToken / Math.LN2) * tokensPerCharacter;
}

/**
 * A text without what belongs to its file: line ends become \n (a \r is always followed by \n and would be a character that
 * costs nothing: 1.8 % of Moby Dick), a byte order mark at the start and DOS end-of-file marks (U+001A) go.
 * Everything else, case and spacing included, is the text and stays.
 *
 * @example
 * ```ts
 * import { normaliseText } from "qklab/tasks";
 * normaliseText("one\r\ntwo"); // "one\ntwo"
 * ```
 */
export function normaliseText(text: string): string {
  return text
    .replace(/^\uFEFF/, "")
    .replace(/\r\n?/g, "\n")
    .replaceAll("\u001A", "");
}

/** `limit` of the numbers 0 … available − 1, evenly spread; all of them where `limit` is not less. */
export function spread(available: number, limit: number): number[] {
  const count = Math.min(available, limit);
  return Array.from({ length: count }, (_, place) => Math.floor((place * available) / count));
}

/** The windows of `length` tokens at the given starts. */
export function windowsAt(tokens: Int32Array, starts: readonly number[], length: number): Windows {
  const inputs = new Int32Array(starts.length * length);
  const targets = new Int32Array(starts.length * length);
  starts.forEach((start, window) => {
    inputs.set(tokens.subarray(start, start + length), window * length);
    targets.set(tokens.subarray(start + 1, start + length + 1), window * length);
  });
  return { count: starts.length, length, inputs, targets };
}

/**
 * Refuses a window that does not fit.
 *
 * @returns how many starts there are
 */
export function requireRoom(split: Split, length: number): number {
  requireWhole("cut windows", "length", length, 1);
  const starts = split.tokens.length - length;
  if (starts >= 1) return starts;
  throw new DomainError(
    "split-short",
    `Cannot cut windows as each needs length + 1 tokens of the split: length ${length}, split ${split.tokens.length}. ` +
      `Use a longer text or a length ≤ ${split.tokens.length - 1}`,
  );
}

/** A share of the text as a place that divides no character. */
function cutAt(text: string, share: number): number {
  const place = Math.floor(text.length * share);
  const isInside = place > 0 && place < text.length && text.codePointAt(place - 1)! > 0xffff;
  return isInside ? place + 1 : place;
}

function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function requireToken(token: number, size: number): number {
  if (Number.isInteger(token) && token >= 0 && token < size) return token;
  throw new DomainError(
    "token-unknown",
    `Cannot decode as every token must be a whole number from 0 to ${size - 1}: ${token}. ` +
      "Leave out the columns that pad the vocabulary before a token is chosen",
  );
}

function unknownCharacter(character: string, place: number): DomainError {
  const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return new DomainError(
    "character-unknown",
    `Cannot encode as every character must be in the vocabulary: ${JSON.stringify(character)} (U+${code}) at ${place}. ` +
      "Make the vocabulary from all the text, or use bytes",
  );
}
