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

/**
 * Windows that begin anywhere in a text, with the token after each as its label. As in an evaluation, each begins with the mark that
 * begins a text, where there is one.
 */
export function windowsAt(tokens: Int32Array, { batch, length, seed, step, begin }: BatchPlace): TokenBatch {
  const stream = random(seed, "distil", step);
  const windows = Array.from({ length: batch }, () => {
    const start = stream.integer(tokens.length - length);
    return begin === undefined
      ? [...tokens.subarray(start, start + length + 1)]
      : [begin, ...tokens.subarray(start, start + length)];
  });
  return {
    tokens: Int32Array.from(windows.flatMap((window) => window.slice(0, -1))),
    batch,
    targets: Int32Array.from(windows.flatMap((window) => window.slice(1))),
  };
}

/** Which windows a step learns from. */
export interface BatchPlace {
  /** B windows of N tokens. */
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  readonly step: number;
  /** The mark that begins a text. */
  readonly begin: number | undefined;
}
