/**
 * @file The tokenizer of llama2.c (`tokenizer.bin`): the length of the longest token as int32, then for each token its score
 * (float32), its length (int32) and its bytes, all little-endian. Characters that are no token are bytes, written as `<0x0A>`, or in older
 * files as the character of that number; a space goes before the text. Source: karpathy/llama2.c, run.c and tokenizer.py.
 */
import { MissingError } from "../base/errors.ts";
import { mergePairs } from "./merge-pairs.ts";
import { byteTokenOf } from "./token-bytes.ts";
import { requireToken, type Tokenizer } from "./tokenizer.ts";
import { decodeTokens } from "./whole-characters.ts";

const beginToken = 1;
const endToken = 2;
/** The tokens before the 256 bytes: unknown, BOS and EOS. */
const marks = 3;
/** Bytes are never read as the characters that a file writes them as. */
const isByte = (token: number): boolean => token >= marks && token < marks + 256;
/** Longer than any token in use: what a file may claim before it is refused. */
const longestToken = 1 << 16;

/**
 * Reads a tokenizer.bin.
 *
 * @param file - its bytes
 * @param options - `vocabularySize`: that of the model, whose file does not say which tokenizer it has; `source`: what messages
 *   call the file
 * @throws MissingError `tokenizer-unreadable` where the bytes are no tokenizer, or one of another size
 */
export function llama2cTokenizer(
  file: Uint8Array,
  options: { readonly vocabularySize?: number; readonly source?: string } = {},
): Tokenizer {
  const source = options.source ?? "tokenizer.bin";
  const { scores, pieces } = readPieces(file, source);
  if (options.vocabularySize !== undefined && options.vocabularySize !== pieces.length) {
    throw unreadable(
      source,
      `it must have the model's ${options.vocabularySize} tokens`,
      `${pieces.length} tokens`,
    );
  }
  const texts = pieces.map((piece) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(piece));
  const numberOf = new Map<string, number>();
  texts.forEach((text, token) => {
    if (!isByte(token) && !numberOf.has(text)) numberOf.set(text, token);
  });
  const bytes = pieces.map((piece, token) => (isByte(token) ? Uint8Array.of(token - marks) : piece));

  const mergeOf = (left: number, right: number): { token: number; score: number } | undefined => {
    const token = numberOf.get(texts[left] + texts[right]);
    return token === undefined ? undefined : { token, score: scores[token] };
  };
  const startOf = (character: string): number[] => {
    const token = numberOf.get(character);
    return token === undefined
      ? Array.from(new TextEncoder().encode(character), (byte) => byte + marks)
      : [token];
  };

  const tokenizer: Tokenizer = {
    vocabularySize: pieces.length,
    specialTokens: { begin: beginToken, end: endToken, unknown: 0, all: new Set([0, beginToken, endToken]) },
    addsSpaceInFront: true,
    encode(text, { addSpecial = true } = {}) {
      const begin = addSpecial ? [beginToken] : [];
      if (text === "") return begin;
      const characters = Array.from(` ${text}`);
      return [...begin, ...mergePairs(characters.flatMap(startOf), mergeOf)];
    },
    decode: (tokens, options) => decodeTokens(tokenizer, tokens, options),
    bytesOf(token) {
      requireToken(token, pieces.length);
      return bytes[token];
    },
  };
  return tokenizer;
}

function readPieces(file: Uint8Array, source: string): { scores: number[]; pieces: Uint8Array[] } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const scores: number[] = [];
  const pieces: Uint8Array[] = [];
  let place = 4;
  while (place < file.length) {
    const token = pieces.length;
    if (place + 8 > file.length)
      throw unreadable(source, `token ${token} must be whole`, `the file ends at ${file.length}`);
    const score = view.getFloat32(place, true);
    const length = view.getInt32(place + 4, true);
    const end = place + 8 + length;
    if (length < 0 || length > longestToken || end > file.length) {
      throw unreadable(
        source,
        `token ${token} must lie in the file of ${file.length} bytes`,
        `length ${length}`,
      );
    }
    if (!Number.isFinite(score))
      throw unreadable(source, `the score of token ${token} must be finite`, `${score}`);
    scores.push(score);
    pieces.push(file.slice(place + 8, end));
    place = end;
  }
  if (pieces.length < marks + 256) {
    throw unreadable(source, `it must have at least ${marks} marks and 256 bytes`, `${pieces.length} tokens`);
  }
  const stranger = pieces.slice(marks, marks + 256).findIndex((piece, byte) => {
    const text = new TextDecoder().decode(piece);
    return byteTokenOf(text) !== byte && text !== String.fromCharCode(byte);
  });
  if (stranger !== -1)
    throw unreadable(source, "tokens 3 to 258 must be the 256 bytes", `another at ${marks + stranger}`);
  return { scores, pieces };
}

function unreadable(source: string, rule: string, seen: string): MissingError {
  return new MissingError(
    "tokenizer-unreadable",
    `Cannot read ${source} as ${rule}: ${seen}. Use the tokenizer.bin that belongs to the model`,
  );
}
