/** @file What a preset of `compare` is. */

/** One column of the matrix: a task with the attentions that are compared on it. */
export interface PresetColumn {
  readonly selectors: readonly string[];
  /** Settings that differ from the recipe's defaults. A list of values gives one column for each. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly seeds: readonly number[];
  /**
   * Learning rates of every cell: these, or so many of the recipe's own (which it may choose for each attention), evenly
   * spread over its list.
   */
  readonly learningRates: readonly number[] | { readonly count: number };
}

/** A size of comparison. */
export interface Preset {
  /** The tasks compared by default; the other columns wait for `--task`. */
  readonly tasks: readonly string[];
  readonly columns: Readonly<Record<string, PresetColumn>>;
}
