/** @file Every query sees every key. */
import { definePart, type PartFactory } from "../base/part.ts";
import { type Pattern } from "./pattern.ts";

/**
 * Every pair is allowed.
 *
 * @example
 * ```ts
 * import { attention, dot, full } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: full() });
 * ```
 */
export const full: PartFactory<Pattern, object> = definePart<Pattern, object>(
  { kind: "pattern", selector: "full", formula: "every pair", source: "Vaswani et al. 2017", rules: {} },
  () => ({ allows: () => true, keyRange: (_, keys) => [0, keys], causal: false }),
);
