/** @file Every allowed pair is kept. */
import { definePart, type PartFactory } from "../base/part.ts";
import { type Selection } from "./selection.ts";

/**
 * Keeps every allowed pair.
 *
 * @example
 * ```ts
 * import { all, attention, dot, full } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: full(), selection: all() });
 * ```
 */
export const all: PartFactory<Selection, object> = definePart<Selection, object>(
  {
    kind: "selection",
    selector: "all",
    formula: "every allowed pair",
    source: "Vaswani et al. 2017",
    rules: {},
  },
  () => ({ keep: (scores) => [...scores.keys()], limit: undefined }),
);
