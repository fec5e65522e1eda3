/** @file What a selection is: which of the allowed pairs are kept, decided by the scores. */
import { type Part } from "../base/part.ts";

/** Chooses among the allowed keys of one row. */
export interface Selection extends Part {
  readonly kind: "selection";
  /** Places of the kept entries of `scores` (the row's allowed keys in ascending order), ascending. */
  readonly keep: (scores: Float64Array) => readonly number[];
  /** The largest number of keys kept in a row, `undefined` when all are. */
  readonly limit: number | undefined;
}
