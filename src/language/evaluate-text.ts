/**
 * @file How well a model predicts a text: windows of it, the negative log-likelihood of every token, perplexity, and bits per
 * character; and two models on the same windows, with the standard error of their difference.
 */
import { DomainError } from "../base/errors.ts";
import { type Decoder, type ModelArrays } from "../models/index.ts";
import { type Tokenizer } from "../text/index.ts";

/** Tokens as windows that every model is asked about. */
export interface TokenWindows {
  /** Tokens of each window, [W][N]; what lies behind the end of the text is not asked about. */
  readonly tokens: readonly Int32Array[];
  /** How many places of each window are asked about, from the first. */
  readonly counts: readonly number[];
  /** What is right at those places. */
  readonly targets: readonly Int32Array[];
}

/** A text as windows. */
export interface TextWindows extends TokenWindows {
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
 * Cuts tokens into windows that follow each other, in which every token is predicted once. Each window begins with the mark that begins
 * a text: trained models rest their attention on it, and some predict nothing well without. Where there is none, a window begins with
 * the last token of the one before, and the very first token is not predicted.
 *
 * @param length - N, the mark included
 */
export function tokenWindows(tokens: Int32Array, length: number, begin: number | undefined): TokenWindows {
  const predicted = begin === undefined ? tokens.subarray(1) : tokens;
  const targets = Array.from({ length: Math.ceil(predicted.length / length) }, (_, at) =>
    predicted.subarray(at * length, (at + 1) * length),
  );
  return {
    tokens: targets.map((own, at) => {
      const window = new Int32Array(length);
      window[0] = begin ?? tokens[at * length];
      window.set(own.subarray(0, -1), 1);
      return window;
    }),
    counts: targets.map((own) => own.length),
    targets,
  };
}

/**
 * Cuts a text into windows of N tokens, as {@link tokenWindows} does.
 *
 * @param length - N, the mark included
 * @param most - at most so many tokens of the text
 * @throws DomainError `evaluation-text` for a text without a token to predict
 */
export function textWindows(
  tokenizer: Tokenizer,
  text: string,
  length: number,
  most: number = Infinity,
): TextWindows {
  const { begin } = tokenizer.specialTokens;
  const own = tokenizer.encode(text, { addSpecial: false });
  const kept = Int32Array.from(own.slice(0, most));
  const windows = tokenWindows(kept, length, begin);
  if (windows.counts.length === 0) {
    throw new DomainError(
      "evaluation-text",
      `Cannot evaluate a model on a text as it must have a token to predict: ${kept.length} tokens. Pass a longer text`,
    );
  }
  const isWhole = kept.length === own.length && begin !== undefined;
  const predicted = [...(begin === undefined ? kept.subarray(1) : kept)];
  const spelled = isWhole ? text : tokenizer.decode(predicted, { continues: begin === undefined });
  return { ...windows, characters: Array.from(spelled).length };
}

/** A model's score on windows, summed in f64. */
export async function evaluateText(
  asked: AskedModel,
  windows: TextWindows,
  options: EvaluationOptions = {},
): Promise<TextScore> {
  return scoreOf(await windowNats(asked, windows, options), windows.counts, windows.characters);
}

/** Who is asked. */
export interface AskedModel {
  readonly model: Decoder;
  readonly arrays: ModelArrays;
}

/** How. */
export interface EvaluationOptions {
  /** Windows that go through the model together (default 4). */
  readonly batch?: number;
  /** Told how many windows are done. */
  readonly onBatch?: (done: number) => void;
}

/** Σ −ln p of every window. */
export async function windowNats(
  { model, arrays }: AskedModel,
  { tokens, counts, targets }: TokenWindows,
  { batch = 4, onBatch }: EvaluationOptions = {},
): Promise<readonly number[]> {
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
  return sums;
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
