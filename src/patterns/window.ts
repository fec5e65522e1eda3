/** @file A band around the diagonal. */
import { integerOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Pattern } from "./pattern.ts";

/**
 * A query sees keys nearer than `w` places, |Δ| < w with Δ = (i + offset) − j; together with `causal()`, 0 ≤ Δ < w.
 *
 * @param options - `w`: places, at least 1
 * @example
 * ```ts
 * import { attention, causal, dot, window } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: [causal(), window({ w: 256 })] });
 * ```
 */
export const window: PartFactory<Pattern, { readonly w: number }> = definePart<
  Pattern,
  { readonly w: number }
>(
  {
    kind: "pattern",
    selector: "window",
    formula: "|Δ| < w; with causal 0 ≤ Δ < w",
    source: "Beltagy et al. 2020, Longformer, section 3.1",
    rules: { w: integerOption(1, true) },
  },
  ({ w }) => ({
    allows: (queryPlace, key) => Math.abs(queryPlace - key) < w,
    keyRange: (queryPlace, keys) => [queryPlace - w + 1, Math.min(keys, queryPlace + w)],
    causal: false,
  }),
);
