/**
 * @file Copy: the duplication test of Kitaev et al. 2020 (Reformer). A sequence is 0w0w, a random word w between zeros and then
 * once more; after the second 0 every symbol of the second w is to be told before it comes. The word has log₂(V − 1) bits a
 * symbol, so a state that is to hold it grows with it: the test of what a memory of fixed size cannot do.
 */
import { DomainError } from "../base/errors.ts";
import { type Random } from "../base/random.ts";
import { type LabelledTokens } from "./labelled-tokens.ts";
import { requireWhole } from "./whole-number.ts";

/** Settings of the copy task. */
export interface CopySettings {
  /** V: symbols are {1 … V − 1}; 0 opens a word. The Reformer has 128. */
  readonly vocabulary: number;
  /** N = 2(n + 1), tokens of a sequence; even. The Reformer has 1,024. */
  readonly length: number;
  /** B */
  readonly batch: number;
}

/**
 * A batch of the copy task: 0 w₁…w_n 0 w₁…w_n with w_i uniform on {1 … V − 1}. Place n + i of the N (from 1) asks for w_i: the
 * answer stands n + 1 places before the next one, and nothing nearer tells it.
 *
 * @param settings - sizes
 * @param rng - `random(seed, "copy", split, step)`
 * @returns tokens [B, N]; positions and targets [B, n], n = N/2 − 1
 * @throws DomainError `bad-setting` or `copy-length`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { copyTokens } from "qklab/tasks";
 * const { tokens, targets } = copyTokens({ vocabulary: 11, length: 8, batch: 1 }, random(1, "copy", "train", 0));
 * tokens.slice(5).join() === targets.join(); // true: the second word
 * ```
 */
export function copyTokens({ vocabulary, length, batch }: CopySettings, rng: Random): LabelledTokens {
  const act = "make words to copy";
  requireWhole(act, "vocabulary", vocabulary, 3);
  requireWhole(act, "length", length, 4);
  requireWhole(act, "batch", batch, 1);
  if (length % 2 !== 0) {
    throw new DomainError(
      "copy-length",
      `Cannot ${act} as a word and its opening 0 stand twice in a sequence, so its length must be even: ${length}. ` +
        `Pass ${length - 1} or ${length + 1}`,
    );
  }
  const half = length / 2;
  const word = half - 1;
  const tokens = new Int32Array(batch * length);
  const positions = new Int32Array(batch * word);
  const targets = new Int32Array(batch * word);
  for (let sequence = 0; sequence < batch; sequence++) {
    for (let place = 0; place < word; place++) {
      const symbol = 1 + rng.integer(vocabulary - 1);
      tokens[sequence * length + 1 + place] = symbol;
      tokens[sequence * length + half + 1 + place] = symbol;
      positions[sequence * word + place] = half + place;
      targets[sequence * word + place] = symbol;
    }
  }
  return { tokens, batch, positions, targets };
}
