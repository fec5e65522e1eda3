/**
 * @file Extrapolation: a model trained on windows of N tokens of a corpus reads the same held-out text at N, 2N, … 16N
 * (Press et al. 2022). What changes between the lengths is only how far back a window reaches.
 */
import { DomainError } from "../base/errors.ts";
import { requireRoom, spread, windowsAt, type Split, type Windows } from "./language.ts";
import { requireWhole } from "./whole-number.ts";

/** The lengths of the protocol, in units of the trained one. */
export const extrapolationFactors: readonly number[] = [1, 2, 4, 8, 16];

/** One held-out text at one length. */
export interface ExtrapolationWindows extends Windows {
  /** `length` in units of the trained length. */
  readonly factor: number;
  /** First place of a window whose prediction is scored; all places from there on are. */
  readonly scoredFrom: number;
}

/**
 * Held-out windows at growing lengths, cut so that every length scores the same tokens of the text.
 *
 * The split is divided into blocks of the largest length.
 *
 * * `scoring: "all"` (default): each block is cut into windows side by side, and every place is scored. It is what a user
 *   of that length gets, but mixes contexts: at length L a token has (L − 1)/2 tokens before it on average.
 * * `scoring: "last"`: each block gives one window that ends where the block ends, and its last N places are scored. From 2N
 *   on, every prediction is made at a place that training never showed; fewer tokens are scored, so the spread is
 *   wider.
 *
 * Report both: under "all" a longer window also has a smaller share of places with little context, which lowers the loss of
 * any method that does not fail; only "last" isolates what distances beyond N do.
 *
 * @param split - usually `corpus.test`
 * @param trainedLength - N
 * @param options - `factors` (whole, ascending, each dividing the last; default 1, 2, 4, 8, 16), `scoring`, and `blocks`, at
 *   most so many blocks, evenly spread (default all)
 * @returns one set of windows for each factor
 * @throws DomainError `bad-setting`, `extrapolation-factors` or `split-short`
 * @example
 * ```ts
 * import { corpus, extrapolationWindows } from "qklab/tasks";
 * const { test } = corpus("hello", "hello, world\n".repeat(1000));
 * extrapolationWindows(test, 16).map(({ count, length }) => `${count} × ${length}`); // ["32 × 16", … "2 × 256"]
 * ```
 */
export function extrapolationWindows(
  split: Split,
  trainedLength: number,
  options: {
    readonly factors?: readonly number[];
    readonly scoring?: "all" | "last";
    readonly blocks?: number;
  } = {},
): ExtrapolationWindows[] {
  const { factors = extrapolationFactors, scoring = "all", blocks = Infinity } = options;
  requireWhole("cut windows", "trainedLength", trainedLength, 1);
  if (blocks !== Infinity) requireWhole("cut windows", "blocks", blocks, 1);
  const largest = requireFactors(factors);
  const blockLength = largest * trainedLength;
  requireRoom(split, blockLength);
  const starts = spread(Math.floor((split.tokens.length - 1) / blockLength), blocks).map(
    (block) => block * blockLength,
  );
  return factors.map((factor) => {
    const length = factor * trainedLength;
    const windowStarts =
      scoring === "last"
        ? starts.map((start) => start + blockLength - length)
        : starts.flatMap((start) =>
            Array.from({ length: largest / factor }, (_, window) => start + window * length),
          );
    return {
      ...windowsAt(split.tokens, windowStarts, length),
      factor,
      scoredFrom: scoring === "last" ? length - trainedLength : 0,
    };
  });
}

function requireFactors(factors: readonly number[]): number {
  const largest = factors.at(-1) ?? 0;
  const fits = factors.every(
    (factor, place) =>
      Number.isSafeInteger(factor) &&
      factor >= 1 &&
      largest % factor === 0 &&
      (place === 0 || factor > factors[place - 1]),
  );
  if (fits && factors.length > 0) return largest;
  throw new DomainError(
    "extrapolation-factors",
    `Cannot cut windows as the factors must be whole numbers that ascend and divide the last: [${factors.join(", ")}]. ` +
      "Pass for example [1, 2, 4, 8, 16]",
  );
}
