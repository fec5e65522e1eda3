/** @file All patterns, by name. */
import { type OptionValue } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { block } from "./block.ts";
import { causal } from "./causal.ts";
import { fixed } from "./fixed.ts";
import { full } from "./full.ts";
import { type Pattern } from "./pattern.ts";
import { strided } from "./strided.ts";
import { window } from "./window.ts";

/** The factories of all patterns. */
export const patterns = [full, causal, window, strided, fixed, block] as unknown as readonly PartFactory<
  Pattern,
  Record<string, OptionValue>
>[];

export { block, causal, fixed, full, strided, window };
export { intersect, type Pattern } from "./pattern.ts";
