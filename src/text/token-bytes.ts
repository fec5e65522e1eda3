/**
 * @file The bytes of the tokens of a tokenizer.json, read from its decoder: byte-level as GPT-2's, SentencePiece's (▁ is a space,
 * <0x0A> a byte), WordPiece's (## joins).
 */
import { UnsupportedError } from "../base/errors.ts";

/** How a tokenizer.json spells bytes. */
export interface TokenSpelling {
  /** The bytes of a token that is not an added one. */
  readonly bytesOf: (token: string) => Uint8Array;
  readonly addsSpaceInFront: boolean;
}

/** A `decoder` of tokenizer.json, as far as it is read. */
export interface DecoderDescription {
  readonly type?: unknown;
  readonly decoders?: readonly DecoderDescription[];
  readonly pattern?: { readonly String?: unknown };
  readonly content?: unknown;
  readonly start?: unknown;
  readonly stop?: unknown;
  readonly prefix?: unknown;
  readonly replacement?: unknown;
  readonly prepend_scheme?: unknown;
  readonly add_prefix_space?: unknown;
}

const utf8 = new TextEncoder();

/**
 * Reads a decoder.
 *
 * @param source - what messages call the file
 * @param decoder - null or absent: words with spaces between them
 * @throws UnsupportedError `tokenizer-unsupported` for a decoder whose tokens have no bytes of their own
 */
export function tokenSpelling(source: string, decoder: DecoderDescription | null | undefined): TokenSpelling {
  if (decoder === null || decoder === undefined) return spacedWords("");
  const steps = decoder.type === "Sequence" ? (decoder.decoders ?? []) : [decoder];
  const types = new Set(steps.map(({ type }) => type));
  if (types.has("ByteLevel")) return byteLevel;
  if (decoder.type === "WordPiece") {
    return spacedWords(typeof decoder.prefix === "string" ? decoder.prefix : "##");
  }
  const unreadable = steps.find((step) => !isReadable(step));
  if (unreadable !== undefined || steps.length === 0) throw unsupported(source, unreadable?.type);

  const replacements = steps.flatMap(({ type, pattern, content, replacement }): [string, string][] => {
    if (type === "Replace") return [[String(pattern?.String), String(content)]];
    return type === "Metaspace" ? [[typeof replacement === "string" ? replacement : "▁", " "]] : [];
  });
  const hasBytes = types.has("ByteFallback");
  return {
    addsSpaceInFront: steps.some(stripsSpace),
    bytesOf(token) {
      const byte = hasBytes ? byteTokenOf(token) : undefined;
      if (byte !== undefined) return Uint8Array.of(byte);
      return utf8.encode(replacements.reduce((text, [from, to]) => text.replaceAll(from, to), token));
    },
  };
}

/** The byte that SentencePiece's byte tokens spell, as 10 for `<0x0A>`. */
export function byteTokenOf(token: string): number | undefined {
  return /^<0x[\dA-Fa-f]{2}>$/.test(token) ? Number(token.slice(1, 5)) : undefined;
}

/** A replacement of a literal, Metaspace, bytes, Fuse, or one space taken from the start of the text. */
function isReadable(step: DecoderDescription): boolean {
  if (step.type === "Replace") {
    return (
      typeof step.pattern?.String === "string" &&
      step.pattern.String !== "" &&
      typeof step.content === "string"
    );
  }
  if (step.type === "Strip") return step.content === " " && step.start === 1 && (step.stop ?? 0) === 0;
  return step.type === "Metaspace" || step.type === "ByteFallback" || step.type === "Fuse";
}

function stripsSpace({ type, prepend_scheme, add_prefix_space }: DecoderDescription): boolean {
  if (type === "Strip") return true;
  return type === "Metaspace" && prepend_scheme !== "never" && add_prefix_space !== false;
}

/** Every token is a word with a space before it, or goes on a word where it has the prefix. */
function spacedWords(prefix: string): TokenSpelling {
  return {
    addsSpaceInFront: true,
    bytesOf: (token) =>
      utf8.encode(prefix !== "" && token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`),
  };
}

/**
 * GPT-2's alphabet: the 188 visible characters of Latin-1 are their own bytes, and the other 68 bytes, in order, are the
 * characters from U+0100 on.
 */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const isVisible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(isVisible(byte) ? byte : next++), byte]),
  );
})();

const byteLevel: TokenSpelling = {
  addsSpaceInFront: false,
  bytesOf(token) {
    const bytes: number[] = [];
    for (const character of token) {
      const byte = byteOfCharacter.get(character);
      if (byte === undefined) bytes.push(...utf8.encode(character));
      else bytes.push(byte);
    }
    return Uint8Array.from(bytes);
  },
};

function unsupported(source: string, type: unknown): UnsupportedError {
  return new UnsupportedError(
    "tokenizer-unsupported",
    `Cannot read ${source} as its decoder must spell each token by itself: ${String(type)}. ` +
      "Use a model with a byte-level, SentencePiece or WordPiece tokenizer",
  );
}
