/**
 * @file How well a model predicts a text: windows of it, the negative log-likelihood of every token, perplexity, and bits per
 * character; and two models on the same windows, with the standard error of their difference.
 */
import { DomainError } from "../base/errors.ts";
import { type Decoder, type ModelArrays } from "../models/index.ts";
import { type Tokenizer } from "../text/index.ts";

/** A text as windows that every model is asked about. */
export interface TextWindows {
  /** Tokens of each window, [W][N]; what lies behind the end of the text is not asked about. */
  readonly tokens: readonly Int32Array[];
  /** How many places of each window are asked about, from the first. */
  readonly counts: readonly number[];
  /** What is right at those places. */
  readonly targets: readonly Int32Array[];
  /** Characters (code points) that the targets spell. */
  readonly characters: number;
}

/** How well a model predicts them. */
export interface TextScore {
  /** Tokens that were predicted. */
  readonly tokens: number;
  readonly characters: number;
  /** Mean −ln p of a token, in nats. */
  readonly negativeLogLikelihood: number;
  /** e to that. */
  readonly perplexity: number;
  /** Bits for the whole text over its characters, which compares models of other vocabularies too. */
  readonly bitsPerCharacter: number;
  /** Σ −ln p of each window. */
  readonly windows: readonly number[];
}

/** A score against another on the same windows. */
export interface ScoreDifference {
  /** Bits per character more than the base needs. */
  readonly bitsPerCharacter: number;
  /** Over windows, of that; null for one window alone. */
  readonly standardError: number | null;
}

/**
 * Cuts a text into windows that follow each other, so that every token is predicted once; the very first one only where the tokenizer
 * has a mark that begins a text. Each window then begins with that mark: trained models rest much of their attention on it, and
 * without it some predict nothing.
 *
 * @param length - N, the mark included
 * @param most - at most so many tokens of the text
 * @throws DomainError `swap-text` for a text without a token to predict
 */
export function textWindows(
  tokenizer: Tokenizer,
  text: string,
  length: number,
  most: number = Infinity,
): TextWindows {
  const { begin } = tokenizer.specialTokens;
  const own = tokenizer.encode(text, { addSpecial: false });
  const kept = own.slice(0, most);
  const predicted = begin === undefined ? kept.slice(1) : kept;
  if (predicted.length === 0) {
    throw new DomainError(
      "swap-text",
      `Cannot evaluate a model on a text as it must have a token to predict: ${kept.length} tokens. Pass a longer text`,
    );
  }
  const starts = Array.from({ length: Math.ceil(predicted.length / length) }, (_, at) => at * length);
  const targets = starts.map((start) => Int32Array.from(predicted.slice(start, start + length)));
  const isWhole = kept.length === own.length && begin !== undefined;
  return {
    tokens: starts.map((start, index) => {
      const window = new Int32Array(length);
      window.set([begin ?? kept[start], ...targets[index].subarray(0, -1)]);
      return window;
    }),
    counts: targets.map((ofWindow) => ofWindow.length),
    targets,
    characters: Array.from(isWhole ? text : tokenizer.decode(predicted, { continues: begin === undefined }))
      .length,
  };
}

/**
 * A model's score on windows, summed in f64.
 *
 * @param batch - windows that go through the model together
 * @param onBatch - told how many windows are done
 */
export async function evaluateText(
  { model, arrays }: { readonly model: Decoder; readonly arrays: ModelArrays },
  { tokens, counts, targets, characters }: TextWindows,
  { batch = 4, onBatch }: { readonly batch?: number; readonly onBatch?: (done: number) => void } = {},
): Promise<TextScore> {
  const sums: number[] = [];
  for (let first = 0; first < tokens.length; first += batch) {
    const given = tokens.slice(first, first + batch);
    const [{ length }] = given;
    const places = given.flatMap((_, row) =>
      Array.from({ length: counts[first + row] }, (__, at) => row * length + at),
    );
    const { losses } = await model.evaluate(arrays, {
      tokens: Int32Array.from(given.flatMap((window) => [...window])),
      batch: given.length,
      targets: Int32Array.from(targets.slice(first, first + batch).flatMap((window) => [...window])),
      positions: Int32Array.from(places),
    });
    let at = 0;
    for (let row = 0; row < given.length; row++) {
      let sum = 0;
      for (let count = counts[first + row]; count > 0; count--) sum += losses[at++];
      sums.push(sum);
    }
    onBatch?.(Math.min(first + batch, tokens.length));
  }
  return scoreOf(sums, counts, characters);
}

function scoreOf(windows: readonly number[], counts: readonly number[], characters: number): TextScore {
  const nats = sumOf(windows);
  const tokens = sumOf(counts);
  return {
    tokens,
    characters,
    negativeLogLikelihood: nats / tokens,
    perplexity: Math.exp(nats / tokens),
    bitsPerCharacter: nats / Math.LN2 / characters,
    windows,
  };
}

/**
 * What a swap costs: Δ = Σ_w d_w/(C·ln 2) with d_w the nats that window w needs more, and the standard error of that ratio over
 * windows of n_w tokens, √(W/(W−1)·Σ (d_w − n_w·Σd/Σn)²)/(C·ln 2).
 *
 * @param counts - n_w
 */
export function compareScores(
  base: TextScore,
  swapped: TextScore,
  counts: readonly number[],
): ScoreDifference {
  const differences = swapped.windows.map((sum, window) => sum - base.windows[window]);
  const mean = sumOf(differences) / sumOf(counts);
  const many = counts.length;
  const squares = sumOf(differences.map((difference, window) => (difference - mean * counts[window]) ** 2));
  const bits = Math.LN2 * base.characters;
  return {
    bitsPerCharacter: sumOf(differences) / bits,
    standardError: many < 2 ? null : Math.sqrt((many / (many - 1)) * squares) / bits,
  };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
