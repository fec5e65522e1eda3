/** @file The fixed pattern of the Sparse Transformer: the own block and the last columns of every block before. */
import { integerOption, wordOption } from "../base/options.ts";
import { DomainError } from "../base/errors.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Pattern } from "./pattern.ts";

/** Options of {@link fixed}, in places. */
export interface FixedOptions {
  readonly block: number;
  /** 0 for the own block alone. */
  readonly columns: number;
  /** `columns`: those of the blocks before alone, without the own block (default `whole`). */
  readonly part?: "whole" | "columns";
}

/**
 * A causal pattern: keys of the query's own block, and the last `columns` places of every block, with 0 ≤ Δ. Its two factors are
 * `columns: 0`, the own block, and `part: "columns"`, the columns of the blocks before; no pair is in both.
 *
 * @param options - `block`: places, at least 1; `columns`: places of [0, block]; `part`: see {@link FixedOptions}
 * @throws DomainError `fixed-columns` when columns exceed the block, or where neither columns nor the own block are left
 * @example
 * ```ts
 * import { attention, dot, fixed } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: fixed({ block: 128, columns: 8 }) });
 * ```
 */
export const fixed: PartFactory<Pattern, FixedOptions> = definePart<Pattern, FixedOptions>(
  {
    kind: "pattern",
    selector: "fixed",
    formula: "0 ≤ Δ and (same block or j mod block ≥ block − columns); part=columns: without the own block",
    source: "Child et al. 2019, Generating Long Sequences with Sparse Transformers, section 4.2",
    rules: {
      block: integerOption(1, true),
      columns: integerOption(0, true),
      part: wordOption("whole", "columns"),
    },
  },
  ({ block, columns, part }) => {
    const hasOwn = part !== "columns";
    if (columns > block) {
      throw new DomainError(
        "fixed-columns",
        `Cannot make 'fixed' as a block must hold its columns: ${columns} columns, block ${block}. Use fewer columns`,
      );
    }
    if (columns === 0 && !hasOwn) {
      throw new DomainError(
        "fixed-columns",
        "Cannot make 'fixed' as its part must hold pairs: part=columns has 0 columns. Use 1 column or more, or leave part out",
      );
    }
    const blockOf = (place: number): number => Math.floor(place / block);
    return {
      allows: (queryPlace, key) =>
        key <= queryPlace && (blockOf(key) === blockOf(queryPlace) ? hasOwn : key % block >= block - columns),
      keyRange: (queryPlace, keys) => [
        columns === 0 ? block * blockOf(queryPlace) : 0,
        Math.min(keys, hasOwn ? queryPlace + 1 : block * blockOf(queryPlace)),
      ],
      causal: true,
    };
  },
);
