/**
 * @file Needle: a code word behind a mark, then filler, then the mark again, and the word is to be repeated (the passkey task
 * of Mohtashami & Jaggi 2023 without its English). Where bits per character blend near and far, it asks for one thing at a
 * known distance: accuracy by length and depth shows where a model stops to see.
 */
import { DomainError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { RecallQueries } from "./recall.ts";
import { requireWhole } from "./whole-number.ts";

/** Settings of the needle; the vocabulary is [fillers | symbols | mark], of {@link needleVocabulary} tokens. */
export interface NeedleSettings {
  /** L: tokens of a sequence. */
  readonly length: number;
  /** B: sequences of a batch. */
  readonly batch: number;
  /** m: symbols of the code word; default 5. */
  readonly wordLength?: number;
  /** Different symbols that a code word is made of; default 10. */
  readonly symbols?: number;
  /** Different tokens of filler; default 16. */
  readonly fillers?: number;
  /** Where the word stands: 0 at the start, 1 as late as it can; default anywhere, each place equally likely. */
  readonly depth?: number;
}

/** A batch of needles; positions are the last m places, each in its row. */
export interface NeedleBatch extends RecallQueries {
  /** [B, L] */
  readonly tokens: Int32Array;
}

/** How many tokens there are: fillers, symbols and the mark. */
export function needleVocabulary(settings: Pick<NeedleSettings, "symbols" | "fillers">): number {
  return (settings.fillers ?? DEFAULTS.fillers) + (settings.symbols ?? DEFAULTS.symbols) + 1;
}

const DEFAULTS = { wordLength: 5, symbols: 10, fillers: 16 } as const;

/**
 * A batch of needles: filler, mark, w₁…w_m, filler, mark, w₁…w_{m−1}. The target at the second mark is w₁, at each symbol
 * after it the next one. Filler has neither the mark nor symbols, so nothing fakes a needle.
 *
 * @param settings - sizes and depth; length ≥ 2 · wordLength + 1
 * @param rng - `random(seed, "needle", split, step)`
 * @returns tokens [B, L]; positions and targets [B, m]
 * @throws DomainError `bad-setting`, `needle-length` or `needle-depth`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { needle } from "qklab/tasks";
 * const { targets } = needle({ length: 64, batch: 2, depth: 0.5 }, random(1, "needle", "test", 0));
 * targets.length; // 10, which is [2, 5]
 * ```
 */
export function needle(settings: NeedleSettings, rng: Random): NeedleBatch {
  const { length, batch, depth, wordLength, symbols, fillers } = { ...DEFAULTS, ...settings };
  checkSettings({ length, batch, wordLength, symbols, fillers }, depth);
  const mark = fillers + symbols;
  const places = length - 2 * wordLength;
  const tokens = Int32Array.from({ length: batch * length }, () => rng.integer(fillers));
  const positions = new Int32Array(batch * wordLength);
  const targets = new Int32Array(batch * wordLength);
  for (let sequence = 0; sequence < batch; sequence++) {
    const row = tokens.subarray(sequence * length, (sequence + 1) * length);
    const word = Int32Array.from({ length: wordLength }, () => fillers + rng.integer(symbols));
    const shown = depth === undefined ? rng.integer(places) : Math.round(depth * (places - 1));
    const asked = length - wordLength;
    row[shown] = mark;
    row.set(word, shown + 1);
    row[asked] = mark;
    row.set(word.subarray(0, wordLength - 1), asked + 1);
    targets.set(word, sequence * wordLength);
    word.forEach((_, place) => (positions[sequence * wordLength + place] = asked + place));
  }
  return { tokens, positions, targets };
}

function checkSettings(settings: Required<Omit<NeedleSettings, "depth">>, depth: number | undefined): void {
  const { length, wordLength } = settings;
  const act = "hide a needle";
  requireWhole(act, "batch", settings.batch, 1);
  requireWhole(act, "wordLength", wordLength, 1);
  requireWhole(act, "symbols", settings.symbols, 2);
  requireWhole(act, "fillers", settings.fillers, 1);
  requireWhole(act, "length", length, 1);
  if (length < 2 * wordLength + 1) {
    throw new DomainError(
      "needle-length",
      `Cannot ${act} as mark, word, mark and the word's repetition need length ≥ 2 × wordLength + 1: ` +
        `${length} for a word of ${wordLength}. Pass length ≥ ${2 * wordLength + 1}`,
    );
  }
  if (depth !== undefined && !(depth >= 0 && depth <= 1)) {
    throw new DomainError(
      "needle-depth",
      `Cannot ${act} as depth must be from 0 (start) to 1 (end): ${depth}. Leave it out for random places`,
    );
  }
}
