/**
 * @file Induction (Olsson et al. 2022; Fu et al. 2023, H3; Gu & Dao 2023, Mamba): one trigger stands somewhere in random tokens,
 * and once more at the end, where the token that followed it is asked for. Two layers are needed, one that joins a token with
 * the one before it; read at lengths that training never showed, it tells whether what was learned is the rule.
 */
import { type Random } from "../base/random.ts";
import { type LabelledTokens } from "./labelled-tokens.ts";
import { requireWhole } from "./whole-number.ts";

/** Settings of induction. */
export interface InductionSettings {
  /** V: ordinary tokens are {0 … V − 2}, the trigger is V − 1. H3 has 20, the Mamba paper 16. */
  readonly vocabulary: number;
  /** N: tokens of a sequence, the final trigger among them. H3 has 30, the Mamba paper 256. */
  readonly length: number;
  /** B */
  readonly batch: number;
}

/**
 * A batch of induction: N − 2 ordinary tokens, a trigger before one of them, uniform, and a trigger at the end, whose
 * answer is that one.
 *
 * @param settings - sizes
 * @param rng - `random(seed, "induction", split, step)`
 * @returns tokens [B, N]; positions (always N − 1) and targets [B, 1]
 * @throws DomainError `bad-setting`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { inductionTokens } from "qklab/tasks";
 * const settings = { vocabulary: 20, length: 30, batch: 1 };
 * const { tokens, targets } = inductionTokens(settings, random(1, "induction", "train", 0));
 * tokens[tokens.indexOf(19) + 1] === targets[0]; // true
 * ```
 */
export function inductionTokens(
  { vocabulary, length, batch }: InductionSettings,
  rng: Random,
): LabelledTokens {
  const act = "make induction sequences";
  requireWhole(act, "vocabulary", vocabulary, 3);
  requireWhole(act, "length", length, 3);
  requireWhole(act, "batch", batch, 1);
  const trigger = vocabulary - 1;
  const tokens = Int32Array.from({ length: batch * length }, () => rng.integer(trigger));
  const positions = new Int32Array(batch).fill(length - 1);
  const targets = new Int32Array(batch);
  for (let sequence = 0; sequence < batch; sequence++) {
    const start = sequence * length;
    const place = rng.integer(length - 2);
    tokens[start + place] = trigger;
    tokens[start + length - 1] = trigger;
    targets[sequence] = tokens[start + place + 1];
  }
  return { tokens, batch, positions, targets };
}
