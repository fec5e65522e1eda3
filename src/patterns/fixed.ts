/** @file The fixed pattern of the Sparse Transformer: the own block and the last columns of every block before. */
import { integerOption } from "../base/options.ts";
import { DomainError } from "../base/errors.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Pattern } from "./pattern.ts";

/** Options of {@link fixed}, in places. */
export interface FixedOptions {
  readonly block: number;
  readonly columns: number;
}

/**
 * A causal pattern: keys of the query's own block, and the last `columns` places of every block, with 0 ≤ Δ.
 *
 * @param options - `block`: places, at least 1; `columns`: places of [1, block]
 * @throws DomainError `fixed-columns` when columns exceed the block
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
    formula: "0 ≤ Δ and (same block or j mod block ≥ block − columns)",
    source: "Child et al. 2019, Generating Long Sequences with Sparse Transformers, section 4.2",
    rules: { block: integerOption(1, true), columns: integerOption(1, true) },
  },
  ({ block, columns }) => {
    if (columns > block) {
      throw new DomainError(
        "fixed-columns",
        `Cannot make 'fixed' as a block must hold its columns: ${columns} columns, block ${block}. Use fewer columns`,
      );
    }
    return {
      allows: (queryPlace, key) =>
        key <= queryPlace &&
        (Math.floor(key / block) === Math.floor(queryPlace / block) || key % block >= block - columns),
      keyRange: (queryPlace, keys) => [0, Math.min(keys, queryPlace + 1)],
      causal: true,
    };
  },
);
