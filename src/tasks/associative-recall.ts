/**
 * @file Associative recall (Ba et al. 2016; Fu et al. 2023, H3): pairs from a map that is new in every sequence, drawn again and
 * again, then one key whose value is asked for. Unlike multi-query recall (`recall.ts`) keys repeat, all of a small vocabulary are
 * met, and one place of a sequence is scored.
 */
import { DomainError } from "../base/errors.ts";
import { type Random } from "../base/random.ts";
import { type LabelledTokens } from "./labelled-tokens.ts";
import { requireWhole } from "./whole-number.ts";

/** Settings of associative recall. */
export interface AssociativeRecallSettings {
  /** V: keys are {0 … h − 1}, values {h … 2h − 1} with h = ⌊(V − 1)/2⌋; V − 1 stands before the question. H3 has 20. */
  readonly vocabulary: number;
  /** N = 2n + 2, tokens of a sequence of n pairs; even. H3 has 40. */
  readonly length: number;
  /** B */
  readonly batch: number;
}

/** A batch of associative recall. */
export interface AssociativeRecallBatch extends LabelledTokens {
  /** How many pairs ago the asked key was last shown, 1 for the last pair, [B]. */
  readonly pairsAgo: Int32Array;
}

/**
 * A batch of associative recall: k₁v₁…k_nv_n, the sign V − 1, and one of the keys shown, whose value is asked for. A key has
 * one value throughout a sequence and no two keys share one.
 *
 * @param settings - sizes
 * @param rng - `random(seed, "associative-recall", split, step)`
 * @returns tokens [B, N]; positions (always N − 1), targets and pairsAgo [B, 1]
 * @throws DomainError `bad-setting` or `associative-recall-length`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { associativeRecallTokens } from "qklab/tasks";
 * const settings = { vocabulary: 20, length: 40, batch: 1 };
 * const { tokens, targets } = associativeRecallTokens(settings, random(1, "associative-recall", "train", 0));
 * tokens[tokens.indexOf(tokens[39]) + 1] === targets[0]; // true
 * ```
 */
export function associativeRecallTokens(
  { vocabulary, length, batch }: AssociativeRecallSettings,
  rng: Random,
): AssociativeRecallBatch {
  const act = "make associative recall";
  requireWhole(act, "vocabulary", vocabulary, 5);
  requireWhole(act, "length", length, 4);
  requireWhole(act, "batch", batch, 1);
  if (length % 2 !== 0) {
    throw new DomainError(
      "associative-recall-length",
      `Cannot ${act} as a sequence is pairs, a sign and a key, so its length must be even: ${length}. ` +
        `Pass ${length - 1} or ${length + 1}`,
    );
  }
  const half = Math.floor((vocabulary - 1) / 2);
  const pairs = length / 2 - 1;
  const tokens = new Int32Array(batch * length);
  const positions = new Int32Array(batch).fill(length - 1);
  const targets = new Int32Array(batch);
  const pairsAgo = new Int32Array(batch);
  for (let sequence = 0; sequence < batch; sequence++) {
    const start = sequence * length;
    const valueOf = rng.distinct(half, half);
    const keys = Int32Array.from({ length: pairs }, () => rng.integer(half));
    keys.forEach((key, pair) => tokens.set([key, half + valueOf[key]], start + 2 * pair));
    // A key that was shown twice is not asked for twice as often.
    const shown = [...new Set(keys)];
    const asked = shown[rng.integer(shown.length)];
    tokens.set([vocabulary - 1, asked], start + 2 * pairs);
    targets[sequence] = half + valueOf[asked];
    pairsAgo[sequence] = pairs - keys.lastIndexOf(asked);
  }
  return { tokens, batch, positions, targets, pairsAgo };
}
