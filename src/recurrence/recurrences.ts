/** @file All members of the recurrent class, in the order of listings. */
import { type OptionValue } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { deltanet } from "./deltanet.ts";
import { gatedDeltanet } from "./gated-deltanet.ts";
import { gla } from "./gla.ts";
import { linear } from "./linear.ts";
import { performer } from "./performer.ts";
import { retnet } from "./retnet.ts";
import { type RecurrentRule } from "./rule.ts";
import { rwkv4 } from "./rwkv4.ts";
import { rwkv5, rwkv6 } from "./rwkv5-6.ts";
import { rwkv7 } from "./rwkv7.ts";

/** A factory without its option types, as listings and selectors use it. */
export type AnyRuleFactory = PartFactory<RecurrentRule, Record<string, OptionValue>>;

/** The factories of all rules. */
export const recurrences: readonly AnyRuleFactory[] = [
  linear,
  performer,
  retnet,
  gla,
  deltanet,
  gatedDeltanet,
  rwkv4,
  rwkv5,
  rwkv6,
  rwkv7,
] as readonly AnyRuleFactory[];
