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
  /**
   * The same choice for a sequence that grows, whose last query asks; there where `choose` is.
   *
   * @param heads - whose queries and keys follow
   * @param arithmetic - inner products of a backend's own
   */
  readonly follow?: (heads: FollowedHeads, arithmetic?: ChoiceArithmetic) => FollowedChoice;
  /** How many numbers that keeps of one head's keys, `length` of them. */
  readonly followedNumbers?: (length: number, width: number) => number;
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

/** Heads of a sequence that grows: query head h reads key head ⌊h·keyHeads/queryHeads⌋. */
export interface FollowedHeads {
  readonly queryHeads: number;
  readonly keyHeads: number;
  /** D */
  readonly width: number;
}

/** A choice that keeps what it has learned of the keys so far: what a query finds costs as much as the keys that it finds. */
export interface FollowedChoice {
  /**
   * Takes the keys of the next places, as {@link HeadVectors} has them.
   *
   * @param keys - [keyHeads, count, D]
   */
  append(keys: Float32Array, count: number): void;
  /**
   * The keys that queries at the last place find, each once, ascending; their own may be among them.
   *
   * @param queries - [queryHeads, D]
   */
  found(queries: Float32Array): readonly Int32Array[];
  /** As of a {@link Choice}. */
  readonly isOwnLast: boolean;
  /** How many numbers it keeps. */
  readonly size: number;
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
