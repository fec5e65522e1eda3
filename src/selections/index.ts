/** @file All selections, by name. */
import { type OptionValue } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { all } from "./all.ts";
import { type Selection } from "./selection.ts";
import { topk } from "./topk.ts";

/** The factories of all selections. */
export const selections = [all, topk] as unknown as readonly PartFactory<
  Selection,
  Record<string, OptionValue>
>[];

export { all, topk };
export { type Selection } from "./selection.ts";
