/** @file All selections, by name. */
import { type OptionValue } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { all } from "./all.ts";
import { lsh } from "./lsh.ts";
import { moba } from "./moba.ts";
import { type Selection } from "./selection.ts";
import { topk } from "./topk.ts";

/** The factories of all selections. */
export const selections = [all, topk, lsh, moba] as unknown as readonly PartFactory<
  Selection,
  Record<string, OptionValue>
>[];

export { all, lsh, moba, topk };
export { type ChoiceArithmetic } from "./choice-arithmetic.ts";
export {
  type Choice,
  type FollowedChoice,
  type FollowedHeads,
  type HeadVectors,
  type Round,
  type Selection,
} from "./selection.ts";
