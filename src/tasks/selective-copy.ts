/**
 * @file Selective copy (Gu & Dao 2023, Mamba): a few symbols at random places of a long noise are to be told in order when the
 * markers at the end ask. The distances differ from sequence to sequence, so what to keep is decided by content: a
 * convolution of fixed shape cannot do it.
 */
import { DomainError } from "../base/errors.ts";
import { type Random } from "../base/random.ts";
import { type LabelledTokens } from "./labelled-tokens.ts";
import { requireWhole } from "./whole-number.ts";

/** Settings of selective copy. */
export interface SelectiveCopySettings {
  /** A: symbols are {1 … A − 2}, the noise is 0, the marker A − 1. The Mamba paper has 16. */
  readonly vocabulary: number;
  /** Places of noise between the symbols; the Mamba paper has 4,096. */
  readonly noise: number;
  /** M: symbols to copy; the Mamba paper has 16. */
  readonly symbols: number;
  /** B */
  readonly batch: number;
}

/**
 * A batch of selective copy: noise + M places, of which M at random hold a symbol and the others 0; then M markers, the
 * i-th of which asks for the i-th symbol.
 *
 * @param settings - sizes
 * @param rng - `random(seed, "selective-copy", split, step)`
 * @returns tokens [B, noise + 2M]; positions and targets [B, M]
 * @throws DomainError `bad-setting` or `selective-copy-length`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { selectiveCopyTokens } from "qklab/tasks";
 * const settings = { vocabulary: 16, noise: 20, symbols: 4, batch: 1 };
 * const { tokens, targets } = selectiveCopyTokens(settings, random(1, "selective-copy", "train", 0));
 * tokens.slice(0, 24).filter((token) => token !== 0).join() === targets.join(); // true
 * ```
 */
export function selectiveCopyTokens(
  { vocabulary, noise, symbols, batch }: SelectiveCopySettings,
  rng: Random,
): LabelledTokens {
  const act = "make symbols in noise";
  requireWhole(act, "vocabulary", vocabulary, 4);
  requireWhole(act, "noise", noise, 0);
  requireWhole(act, "symbols", symbols, 1);
  requireWhole(act, "batch", batch, 1);
  const shown = noise + symbols;
  const length = shown + symbols;
  if (length > LONGEST) {
    throw new DomainError(
      "selective-copy-length",
      `Cannot ${act} as a sequence may have at most 2^24 tokens: ${length}. Lower noise or symbols`,
    );
  }
  const tokens = new Int32Array(batch * length);
  const positions = new Int32Array(batch * symbols);
  const targets = new Int32Array(batch * symbols);
  for (let sequence = 0; sequence < batch; sequence++) {
    const start = sequence * length;
    const places = rng.distinct(symbols, shown).sort();
    for (let order = 0; order < symbols; order++) {
      const symbol = 1 + rng.integer(vocabulary - 2);
      tokens[start + places[order]] = symbol;
      tokens[start + shown + order] = vocabulary - 1;
      positions[sequence * symbols + order] = shown + order;
      targets[sequence * symbols + order] = symbol;
    }
  }
  return { tokens, batch, positions, targets };
}

const LONGEST = 2 ** 24;
