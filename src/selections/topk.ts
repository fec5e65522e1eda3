/** @file The k largest scores of a row. */
import { integerOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Selection } from "./selection.ts";

/**
 * Keeps exactly min(k, allowed) keys of each row: those with the largest scores, ties to the lower index. The gradient
 * flows through kept pairs only.
 *
 * @param options - `k`: keys, at least 1
 * @example
 * ```ts
 * import { attention, causal, dot, topk } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: causal(), selection: topk({ k: 32 }) });
 * ```
 */
export const topk: PartFactory<Selection, { readonly k: number }> = definePart<
  Selection,
  { readonly k: number }
>(
  {
    kind: "selection",
    selector: "topk",
    formula: "the min(k, allowed) largest scores of a row, ties to the lower index",
    source: "Gupta et al. 2021, Memory-efficient Transformers via Top-k Attention, section 3",
    rules: { k: integerOption(1, true) },
  },
  ({ k }) => ({
    keep: (scores) =>
      [...scores.keys()]
        .sort((a, b) => scores[b] - scores[a] || a - b)
        .slice(0, k)
        .sort((a, b) => a - b),
    limit: k,
  }),
);
