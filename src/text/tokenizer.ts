/**
 * @file What every tokenizer is: text to token numbers and back, whatever file it was read from. A token is bytes of UTF-8,
 * and a character may need several of them.
 */
import { DomainError } from "../base/errors.ts";

/** Tokens that are marks, not text; those that the tokenizer does not name are absent. */
export interface SpecialTokens {
  /** Opens a text (BOS). */
  readonly begin?: number;
  /** Closes a text (EOS). */
  readonly end?: number;
  readonly padding?: number;
  readonly unknown?: number;
  /** Every token that is a mark, those above included. */
  readonly all: ReadonlySet<number>;
}

/** How a text becomes tokens. */
export interface EncodeOptions {
  /**
   * Whether the tokenizer may add the marks that it puts around a text, such as BOS; default true. Marks that are written out
   * in the text are marks either way, as chat templates need it.
   */
  readonly addSpecial?: boolean;
}

/** How tokens become a text. */
export interface DecodeOptions {
  /** Whether marks are written out by name; default false, as if they were not there. */
  readonly showSpecial?: boolean;
  /** Whether the tokens go on a text that came before, so that a space in front is the text's own; default false. */
  readonly continues?: boolean;
}

/** A reversible map between text and token numbers 0 … vocabularySize − 1. */
export interface Tokenizer {
  /** One more than the largest token number. */
  readonly vocabularySize: number;
  readonly specialTokens: SpecialTokens;
  /** Whether encoding puts a space in front of the text, which decoding takes away again. */
  readonly addsSpaceInFront: boolean;
  /**
   * @param text - any; half a surrogate pair is no character, and becomes U+FFFD or the unknown token
   * @throws DomainError `text-unencodable` where the vocabulary cannot spell a part of it; byte-pair vocabularies without bytes
   *   and without an unknown token leave such parts out, as Hugging Face's do
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The text of the tokens' bytes, one after the other. Bytes that are not UTF-8, as a model may produce, become U+FFFD; spaces
   * are never cleaned up.
   *
   * @throws DomainError `token-unknown` for a number outside the vocabulary
   */
  decode(tokens: Iterable<number>, options?: DecodeOptions): string;
  /**
   * The bytes that a token adds to a text; for a mark those of its name, and none for a number that the vocabulary leaves out.
   *
   * @throws DomainError `token-unknown` for a number outside the vocabulary
   */
  bytesOf(token: number): Uint8Array;
}

/** Refuses a number that is no token. */
export function requireToken(token: number, vocabularySize: number): void {
  if (Number.isInteger(token) && token >= 0 && token < vocabularySize) return;
  throw new DomainError(
    "token-unknown",
    `Cannot read a token as it must be a whole number from 0 to ${vocabularySize - 1}: ${token}. ` +
      "Use the tokenizer that belongs to the model",
  );
}
