/** @file Batches of a text's tokens, from (seed, step) alone, and what is kept for measuring. */
import { random } from "../base/random.ts";
import { DomainError } from "../base/errors.ts";
import { type TokenBatch } from "../models/index.ts";

/** A text in two parts. */
export interface SplitText {
  readonly training: Int32Array;
  /** Its end, which nothing is learned from. */
  readonly held: Int32Array;
}

/** Of a text at most so many tokens are held back. */
const mostHeld = 4096;

/**
 * Holds back the last tenth of a text, at most 4,096 tokens.
 *
 * @param length - of the windows; both parts have one and the token after it
 * @throws DomainError `distil-data` for a text that is too short
 */
export function splitText(tokens: Int32Array, length: number): SplitText {
  const heldCount = Math.max(length + 1, Math.min(mostHeld, Math.floor(tokens.length / 10)));
  if (tokens.length < heldCount + length + 1) {
    throw new DomainError(
      "distil-data",
      `Cannot distil as a text must have at least two windows of ${length + 1} tokens, one to learn from and one to measure by: ` +
        `${tokens.length} tokens. Give a longer text, or shorter windows with --length`,
    );
  }
  const end = tokens.length - heldCount;
  return { training: tokens.subarray(0, end), held: tokens.subarray(end) };
}

/** Windows that begin anywhere, with the token after each as its label. */
export function windowsAt(
  tokens: Int32Array,
  { batch, length, seed, step }: { batch: number; length: number; seed: number; step: number },
): TokenBatch {
  const stream = random(seed, "distil", step);
  const starts = Array.from({ length: batch }, () => stream.integer(tokens.length - length));
  return labelled(tokens, starts, length);
}

/** Windows one after the other; what is left at the end is too short and left out. */
export function windowsInOrder(tokens: Int32Array, length: number): readonly TokenBatch[] {
  return Array.from({ length: Math.floor((tokens.length - 1) / length) }, (_, index) =>
    labelled(tokens, [index * length], length),
  );
}

function labelled(tokens: Int32Array, starts: readonly number[], length: number): TokenBatch {
  const of = (shift: number): Int32Array =>
    Int32Array.from(
      { length: starts.length * length },
      (_, at) => tokens[starts[Math.floor(at / length)] + (at % length) + shift],
    );
  return { tokens: of(0), batch: starts.length, targets: of(1) };
}
