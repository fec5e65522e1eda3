/** @file No positions (NoPE): only the pattern can tell places apart. */
import { definePart, type PartFactory } from "../base/part.ts";
import { type NoPosition } from "./position.ts";

/**
 * No position; `nope` in selectors, since `none` names the normaliser there.
 *
 * @example
 * ```ts
 * import { attention, causal, dot, nope } from "qklab";
 * const attend = attention({ similarity: dot(), position: nope(), pattern: causal() });
 * ```
 */
export const nope: PartFactory<NoPosition, object> = definePart<NoPosition, object>(
  {
    kind: "position",
    selector: "nope",
    formula: "no position",
    source:
      "Kazemnejad et al. 2023, The Impact of Positional Encoding on Length Generalization in Transformers",
    rules: {},
  },
  () => ({ place: "none" }),
);
