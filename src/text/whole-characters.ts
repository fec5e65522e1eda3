/**
 * @file Tokens as whole characters. A token may end inside a character (a Chinese one is often two or three tokens), so bytes
 * wait until their character is whole: nothing that is shown has a � that the text has not.
 */
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

/** The part of a tokenizer that is needed to decode. */
export type TokenBytes = Pick<Tokenizer, "addsSpaceInFront" | "bytesOf" | "specialTokens" | "vocabularySize">;

/** A decoder that is given one token at a time. */
export interface WholeCharacters {
  /**
   * @returns the characters that this token completes; empty while it ends inside one
   * @throws DomainError `token-unknown`
   */
  push(token: number): string;
  /** Whether bytes wait for the rest of their character. */
  readonly isWaiting: boolean;
  /** The end of the tokens: what still waits, as U+FFFD, and empty where nothing does. */
  flush(): string;
}

/**
 * Decodes a stream of tokens. However the tokens are dealt out, the texts joined are `tokenizer.decode` of them all.
 *
 * @example
 * ```ts
 * import { wholeCharacters } from "qklab/text";
 * // 天 is three bytes; this vocabulary has each byte as a token.
 * const tokenizer = {
 *   vocabularySize: 256,
 *   specialTokens: { all: new Set<number>() },
 *   addsSpaceInFront: false,
 *   bytesOf: (token: number) => Uint8Array.of(token),
 * };
 * const characters = wholeCharacters(tokenizer);
 * [0xe5, 0xa4, 0xa9].map((token) => characters.push(token)); // ["", "", "天"]
 * ```
 */
export function wholeCharacters(tokenizer: TokenBytes, options: DecodeOptions = {}): WholeCharacters {
  const { showSpecial = false, continues = false } = options;
  let dropsSpace = tokenizer.addsSpaceInFront && !continues;
  let waiting = new Uint8Array(0);

  function take(bytes: Uint8Array): string {
    const all = new Uint8Array(waiting.length + bytes.length);
    all.set(waiting);
    all.set(bytes, waiting.length);
    const whole = all.length - unfinishedBytes(all);
    waiting = all.slice(whole);
    const text = decodeBytes(all.subarray(0, whole));
    if (!dropsSpace || text === "") return text;
    dropsSpace = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  }

  return {
    push(token) {
      const bytes = tokenizer.bytesOf(token);
      if (!tokenizer.specialTokens.all.has(token)) return take(bytes);
      if (!showSpecial) return "";
      // A mark is no first word: the space behind it is still the tokenizer's.
      const kept = dropsSpace;
      dropsSpace = false;
      const text = take(bytes);
      dropsSpace = kept;
      return text;
    },
    get isWaiting() {
      return waiting.length > 0;
    },
    flush() {
      const text = decodeBytes(waiting);
      waiting = new Uint8Array(0);
      return text;
    },
  };
}

/** Neighbouring tokens whose bytes are whole characters together. */
export interface CharacterGroup {
  /** What the tokens say. */
  readonly text: string;
  /** The place of its first token among the tokens. */
  readonly first: number;
  readonly tokens: readonly number[];
}

/**
 * The tokens of a text in the smallest groups that can be shown: one token each, more where a character is spread over several.
 *
 * @param tokens - of any length; the last group may end inside a character where the text does
 * @throws DomainError `token-unknown`
 * @example
 * ```ts
 * import { characterGroups } from "qklab/text";
 * const tokenizer = {
 *   vocabularySize: 256,
 *   specialTokens: { all: new Set<number>() },
 *   addsSpaceInFront: false,
 *   bytesOf: (token: number) => Uint8Array.of(token),
 * };
 * characterGroups(tokenizer, [0x61, 0xc3, 0xa9]).map(({ text, first }) => [text, first]); // [["a", 0], ["é", 1]]
 * ```
 */
export function characterGroups(
  tokenizer: TokenBytes,
  tokens: Iterable<number>,
  options: DecodeOptions = {},
): CharacterGroup[] {
  const characters = wholeCharacters(tokenizer, options);
  const groups: CharacterGroup[] = [];
  let open: { text: string; first: number; tokens: number[] } | undefined;
  let place = 0;
  for (const token of tokens) {
    open ??= { text: "", first: place, tokens: [] };
    open.text += characters.push(token);
    open.tokens.push(token);
    place++;
    if (characters.isWaiting) continue;
    groups.push(open);
    open = undefined;
  }
  if (open !== undefined) groups.push({ ...open, text: open.text + characters.flush() });
  return groups;
}

/** The decode of every tokenizer: the stream, all at once. */
export function decodeTokens(
  tokenizer: TokenBytes,
  tokens: Iterable<number>,
  options: DecodeOptions = {},
): string {
  const characters = wholeCharacters(tokenizer, options);
  let text = "";
  for (const token of tokens) text += characters.push(token);
  return text + characters.flush();
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function decodeBytes(bytes: Uint8Array): string {
  return bytes.length === 0 ? "" : decoder.decode(bytes);
}

/** How many bytes at the end begin a character that more bytes could complete: 0 to 3. */
function unfinishedBytes(bytes: Uint8Array): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const lead = bytes[bytes.length - length];
    if (isContinuation(lead)) continue;
    const second = length > 1 ? bytes[bytes.length - length + 1] : undefined;
    return length < characterLength(lead) && (second === undefined || mayFollow(lead, second)) ? length : 0;
  }
  return 0;
}

const isContinuation = (byte: number): boolean => byte >> 6 === 0b10;

/** Bytes of the character that a byte opens, as Unicode's table 3-7 has it; 1 where it opens none. */
function characterLength(lead: number): number {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 1;
}

/** Four leads allow only some second bytes: the rest would be surrogates, overlong, or beyond U+10FFFF. */
function mayFollow(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second <= 0x9f;
  if (lead === 0xf0) return second >= 0x90;
  return lead !== 0xf4 || second <= 0x8f;
}
