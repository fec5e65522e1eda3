/** @file What a selection is: which of the allowed pairs are kept, decided by the scores or by the vectors of a whole head. */
import { type Part } from "../base/part.ts";
import { type ChoiceArithmetic } from "./choice-arithmetic.ts";

/** Chooses among the allowed keys of one row. */
export interface Selection extends Part {
  readonly kind: "selection";
  /**
   * Places of the kept entries of `scores` (the row's allowed keys in ascending order), ascending. Where there is `choose`,
   * of what that left.
   */
  readonly keep: (scores: Float64Array) => readonly number[];
  /** The largest number of keys kept in a row by their scores, `undefined` when all are. */
  readonly limit: number | undefined;
  /**
   * Chooses pairs by the queries and keys of a head, before there are scores; absent where scores alone decide.
   *
   * @param head - the head's vectors
   * @param arithmetic - inner products of a backend's own
   */
  readonly choose?: (head: HeadVectors, arithmetic?: ChoiceArithmetic) => Choice;
  /** Whether pairs can be chosen among earlier keys only, so that the pattern must be causal. */
  readonly needsCausal?: boolean;
}

/**
 * Queries and keys of one head as the similarity compares them, turned by their place and multiplied by the root of a
 * metric, rounded to float32: all backends choose from the same numbers.
 */
export interface HeadVectors {
  /** [Q, D] */
  readonly queries: Float32Array;
  /** [keys that count, D] */
  readonly keys: Float32Array;
  /** D */
  readonly width: number;
  /** The place of the first query. */
  readonly offset: number;
  /** S, whether all of them count or not. */
  readonly places: number;
}

/** One way to put queries and keys into groups, by numbers that are the same or near. */
export interface Round {
  /** [Q]; a negative number finds no key. */
  readonly queryCodes: Int32Array;
  /** [keys that count], none negative. Rounds with the same keys in the same groups hold one array. */
  readonly keyCodes: Int32Array;
}

/** The pairs of a head that a selection chose: those that at least one round finds. */
export interface Choice {
  readonly rounds: readonly Round[];
  /**
   * A round finds the pair (i, j) where 0 ≤ queryCodes[i] − keyCodes[j] ≤ reach. With reach 1 the keys of code c − 1 lie
   * before those of c, where a query has code c.
   */
  readonly reach: 0 | 1;
  /** Whether no pair is found by two rounds. */
  readonly isDisjoint: boolean;
  /** Whether the key at a query's own place counts only where no other is left. */
  readonly isOwnLast: boolean;
}
