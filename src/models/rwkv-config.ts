/** @file The configuration of an RWKV: its version and its sizes, with the defaults of the published models and checks. */
import * as v from "valibot";
import { DomainError, ShapeError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { parseRecurrence, type RecurrenceComposition } from "../recurrence/index.ts";

/** Rules that have blocks of their own. */
export const rwkvRules = ["rwkv4", "rwkv5", "rwkv6", "rwkv7"] as const;

/** A version, by its rule. */
export type RwkvRule = (typeof rwkvRules)[number];

/** What somebody writes; sizes left out take their default. */
export interface RwkvConfig {
  /** `rwkv4` to `rwkv7`, with options of the rule where wanted, as a selector. */
  readonly rule: string;
  /** V, tokens. */
  readonly vocabulary: number;
  /** C, width of the residual stream. */
  readonly width: number;
  readonly layers: number;
  /** H (default 1); RWKV-4, whose channels are each on their own, has as many channels as heads would have together. */
  readonly heads?: number;
  /** D, channels of a head (default C/H). */
  readonly headWidth?: number;
  /** Width inside the channel mix (default 4·C; of RWKV-5 and 6 3.5·C, rounded down to a multiple of 32, and at least 32). */
  readonly hidden?: number;
  /**
   * Rank of the low-rank networks of RWKV-6 and 7 (default: 32 for shares and 64 for decays in RWKV-6; in RWKV-7 that of the published
   * models, which grows with √C).
   */
  readonly rank?: number;
  /** Whether embeddings are normed before the first layer, `ln0` (default true). */
  readonly embeddingNorm?: boolean;
  /** Whether the outputs of time mixes and the head have biases (default false). */
  readonly biases?: boolean;
  /** The longest sequence that is trained or decoded; no weight depends on it. */
  readonly maximumLength: number;
}

/** Ranks of the low-rank networks; 0 where a version has none. */
export interface RwkvRanks {
  /** Of RWKV-6: of the shares of the token before. */
  readonly shares: number;
  readonly decay: number;
  readonly rate: number;
  readonly values: number;
  readonly gate: number;
}

/** A configuration with every default filled in. */
export interface ResolvedRwkvConfig extends Required<Omit<RwkvConfig, "rank">> {
  readonly version: RwkvRule;
  readonly recurrence: RecurrenceComposition;
  /** A = H·D, channels of all heads together. */
  readonly mixWidth: number;
  readonly ranks: RwkvRanks;
}

const extent = v.pipe(
  v.number(),
  v.integer("a whole number is needed"),
  v.minValue(1, "a number ≥ 1 is needed"),
);
const flag = v.boolean("true or false is needed");

const schema = v.strictObject({
  rule: v.pipe(v.string(), v.minLength(1, "a rule is needed, such as rwkv7")),
  vocabulary: v.pipe(extent, v.minValue(2, "a number ≥ 2 is needed")),
  width: extent,
  layers: extent,
  heads: v.optional(extent, 1),
  headWidth: v.optional(extent),
  hidden: v.optional(extent),
  rank: v.optional(extent),
  embeddingNorm: v.optional(flag, true),
  biases: v.optional(flag, false),
  maximumLength: extent,
});

/**
 * Checks a configuration and fills in its defaults.
 *
 * @throws DomainError `rwkv-config` for unknown or bad members, `rwkv-rule` for rules that have no blocks of their own
 * @throws ShapeError `rwkv-heads` for heads that do not divide the width
 */
export function resolveRwkvConfig(config: RwkvConfig): ResolvedRwkvConfig {
  const { rank, ...read } = readConfig(config);
  const { width, rule } = read;
  const recurrence = parseRecurrence(rule);
  const version = rwkvRules.find((name) => name === recurrence.rule.name);
  if (version === undefined) {
    throw new DomainError(
      "rwkv-rule",
      `Cannot make an RWKV as its blocks are those of ${rwkvRules.join(", ")}: '${rule}'. ` +
        "Name one of them, or make a decoder, whose blocks take every rule",
    );
  }
  const { heads } = read;
  if (read.headWidth === undefined && width % heads !== 0) {
    throw new ShapeError(
      "rwkv-heads",
      `Cannot make an RWKV as the heads must divide the width: ${heads} and ${width}. Change one of them, or give headWidth itself`,
    );
  }
  const headWidth = read.headWidth ?? width / heads;
  const mixWidth = heads * headWidth;
  return {
    ...read,
    ...(version === "rwkv4" ? { heads: 1, headWidth: mixWidth } : { heads, headWidth }),
    mixWidth,
    hidden: read.hidden ?? hiddenOf(version, width),
    version,
    recurrence,
    ranks: ranksOf(version, width, rank),
  };
}

function readConfig(config: RwkvConfig): v.InferOutput<typeof schema> {
  const known = Object.keys(schema.entries);
  const unknown = Object.keys(config).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new DomainError(
      "rwkv-config",
      `Cannot make an RWKV as it has no setting '${unknown}': it has ${known.join(", ")}. ${didYouMean(unknown, known)}`,
    );
  }
  const result = v.safeParse(schema, config);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue) ?? "?";
  throw new DomainError(
    "rwkv-config",
    `Cannot make an RWKV as '${name}' does not fit: ${JSON.stringify(issue.input)}. Pass another, as ${issue.message}`,
  );
}

function hiddenOf(version: RwkvRule, width: number): number {
  if (version === "rwkv4" || version === "rwkv7") return 4 * width;
  return Math.max(32, 32 * Math.floor((3.5 * width) / 32));
}

function ranksOf(version: RwkvRule, width: number, given: number | undefined): RwkvRanks {
  const none = { shares: 0, decay: 0, rate: 0, values: 0, gate: 0 };
  if (version === "rwkv6") return { ...none, shares: given ?? 32, decay: given ?? 64 };
  if (version !== "rwkv7") return none;
  /** The published models' ranks: factor·√C, rounded to a multiple of 32. */
  const near = (factor: number): number =>
    given ?? Math.max(32, 32 * Math.round((factor * Math.sqrt(width)) / 32));
  return { shares: 0, decay: near(2.5), rate: near(2.5), values: near(1.7), gate: near(5) };
}
