/** @file No query sees a later key. */
import { definePart, type PartFactory } from "../base/part.ts";
import { type Pattern } from "./pattern.ts";

/**
 * A query sees itself and what came before: j ≤ i + offset.
 *
 * @example
 * ```ts
 * import { attention, causal, dot } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: causal() });
 * ```
 */
export const causal: PartFactory<Pattern, object> = definePart<Pattern, object>(
  {
    kind: "pattern",
    selector: "causal",
    formula: "j ≤ i + offset",
    source: "Vaswani et al. 2017, section 3.2.3",
    rules: {},
  },
  () => ({
    allows: (queryPlace, key) => key <= queryPlace,
    keyRange: (queryPlace, keys) => [0, Math.min(keys, queryPlace + 1)],
    causal: true,
  }),
);
