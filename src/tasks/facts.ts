/**
 * @file Facts: names with answers that follow no rule, so that a model can only store them. An answer of C equally likely ones
 * is log₂ C bits; how many of them a model gives back, against how many parameters it has, is its capacity (Allen-Zhu & Li 2024).
 */
import { DomainError } from "../base/errors.ts";
import { type Random } from "../base/random.ts";
import { type LabelledTokens } from "./labelled-tokens.ts";
import { requireWhole } from "./whole-number.ts";

/** Settings of a table of facts. */
export interface FactSettings {
  /** F */
  readonly facts: number;
  /** Letters that names are made of: tokens {0 … letters − 1}. */
  readonly letters: number;
  /** N: letters of a name. */
  readonly nameLength: number;
  /** C: answers, tokens {letters … letters + C − 1}, equally likely. */
  readonly answers: number;
}

/** Facts, fixed for a whole experiment. */
export interface FactTable {
  readonly facts: number;
  /** [F, N] */
  readonly names: Int32Array;
  /** [F] */
  readonly answers: Int32Array;
  /** F·log₂ C, the information in all answers. */
  readonly bits: number;
}

/**
 * A table of facts with distinct names and independent answers.
 *
 * @param settings - sizes
 * @param rng - `random(seed, "facts", "table")`
 * @throws DomainError `bad-setting` or `fact-names`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { factTable } from "qklab/tasks";
 * factTable({ facts: 100, letters: 8, nameLength: 3, answers: 16 }, random(1, "facts", "table")).bits; // 400
 * ```
 */
export function factTable({ facts, letters, nameLength, answers }: FactSettings, rng: Random): FactTable {
  const act = "make facts";
  requireWhole(act, "facts", facts, 1);
  requireWhole(act, "letters", letters, 2);
  requireWhole(act, "nameLength", nameLength, 1);
  requireWhole(act, "answers", answers, 2);
  const nameCount = letters ** nameLength;
  if (nameCount < facts || nameCount > MOST_NAMES) {
    throw new DomainError(
      "fact-names",
      `Cannot ${act} as every fact needs a name of its own and there may be at most 2^32 names: ` +
        `${letters}^${nameLength} names for ${facts} facts. Change letters or nameLength`,
    );
  }
  const names = new Int32Array(facts * nameLength);
  rng.distinct(facts, nameCount).forEach((chosen, fact) => {
    // Numbers of 32 bits come back with a sign.
    let rest = chosen >>> 0;
    for (let place = nameLength - 1; place >= 0; place--) {
      names[fact * nameLength + place] = rest % letters;
      rest = Math.floor(rest / letters);
    }
  });
  return {
    facts,
    names,
    answers: Int32Array.from({ length: facts }, () => letters + rng.integer(answers)),
    bits: facts * Math.log2(answers),
  };
}

/**
 * Some facts as sequences: each is a name, and its last letter asks for the answer.
 *
 * @param table - from {@link factTable}
 * @param chosen - numbers of facts, [B]
 * @returns tokens [B, N]; positions (always N − 1) and targets [B, 1]
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { factTable, factTokens } from "qklab/tasks";
 * const table = factTable({ facts: 100, letters: 8, nameLength: 3, answers: 16 }, random(1, "facts", "table"));
 * const { tokens, targets } = factTokens(table, Int32Array.of(7, 8));
 * tokens.length; // 6, which is [2, 3]
 * targets[1] === table.answers[8]; // true
 * ```
 */
export function factTokens({ facts, names, answers }: FactTable, chosen: Int32Array): LabelledTokens {
  const length = names.length / facts;
  const tokens = new Int32Array(chosen.length * length);
  chosen.forEach((fact, sequence) => {
    tokens.set(names.subarray(fact * length, (fact + 1) * length), sequence * length);
  });
  return {
    tokens,
    batch: chosen.length,
    positions: new Int32Array(chosen.length).fill(length - 1),
    targets: chosen.map((fact) => answers[fact]),
  };
}

/**
 * The bits of a table that a model holds: what its answers cost to write down without the model, F·log₂ C, minus what they
 * cost with it, Σ −log₂ p(answer). A lower bound of the information stored; 0 where the model is worse than none.
 *
 * @param table - from {@link factTable}
 * @param losses - −ln p of every fact's answer, in nats, [F]
 * @example
 * ```ts
 * import { bitsRecovered } from "qklab/tasks";
 * bitsRecovered({ bits: 8 }, [0, Math.LN2]); // 7: one answer is sure, one costs a bit
 * ```
 */
export function bitsRecovered({ bits }: Pick<FactTable, "bits">, losses: ArrayLike<number>): number {
  let cost = 0;
  for (let fact = 0; fact < losses.length; fact++) cost += losses[fact];
  return Math.max(0, bits - cost / Math.LN2);
}

const MOST_NAMES = 2 ** 32;
