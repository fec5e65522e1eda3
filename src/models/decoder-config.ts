/** @file The configuration of a decoder: its sizes and the attention of every head, with defaults and checks. */
import * as v from "valibot";
import { type AnyPartFactory, compose, type Composition, completeSelector } from "../attention/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { type ExpertConfig, expertSchema, type ResolvedExperts, resolveExperts } from "./expert-config.ts";
import { type EmbeddingPosition } from "../positions/index.ts";
import { embeddingPosition, parseMixer } from "./mixer.ts";
import { type RecurrentHeads } from "./recurrence-group.ts";

/** Heads of a layer that share an attention. */
export interface HeadGroup {
  readonly selector: string;
  /** How many query heads. */
  readonly heads: number;
}

/** What somebody writes; sizes left out take their default. */
export interface DecoderConfig {
  /** V, tokens. */
  readonly vocabulary: number;
  /** Width of the residual stream. */
  readonly width: number;
  readonly layers: number;
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads (default H); it divides H. */
  readonly keyValueHeads?: number;
  /** D, width of a head (default width/H). */
  readonly headWidth?: number;
  /**
   * Tokens that queries, keys and values are convolved over before they are compared, their own among them (default 1: none), as in
   * DeltaNet and in Primer (So et al. 2021). It lets rules of the recurrent class find the token before.
   */
  readonly convolution?: number;
  /** Default `rms`. */
  readonly norm?: "rms" | "layer";
  /** Default `swiglu`. */
  readonly feedForward?: "swiglu" | "gelu" | "none";
  /**
   * Width inside the feed-forward (default: 8/3·width for SwiGLU, rounded up to a multiple of 8, and 4·width for GELU; with
   * experts that over the k of a token, rounded up to a multiple of 8, so that it meets as many weights).
   */
  readonly hidden?: number;
  /** Experts in place of every layer's feed-forward, each of width `hidden` inside. */
  readonly experts?: ExpertConfig;
  /** Whether the output layer is the embedding table (default true). */
  readonly tiedHead?: boolean;
  /** One selector for all layers, or one entry a layer, each a selector or a list of head groups. */
  readonly attention: string | readonly (string | readonly HeadGroup[])[];
  /** The longest sequence; positions that are `learned` have so many rows. */
  readonly maximumLength: number;
}

/** A head group with an attention, read. */
export interface ComposedAttention {
  readonly selector: string;
  readonly composition: Composition;
  readonly heads: number;
  readonly keyValueHeads: number;
}

/** A head group with a recurrence, read. */
export interface ComposedRecurrence extends RecurrentHeads {
  readonly selector: string;
  /** What the model adds to its embeddings. */
  readonly position: EmbeddingPosition | undefined;
}

/** One head group, read. */
export type ComposedGroup = ComposedAttention | ComposedRecurrence;

/** A configuration with every default filled in. */
export interface ResolvedDecoderConfig extends Required<
  Omit<DecoderConfig, "attention" | "hidden" | "experts">
> {
  /** 0 without a feed-forward. */
  readonly hidden: number;
  /** Undefined without experts. */
  readonly experts: ResolvedExperts | undefined;
  /** As it was written. */
  readonly attention: DecoderConfig["attention"];
  /** The head groups of every layer. */
  readonly groups: readonly (readonly ComposedGroup[])[];
}

const extent = v.pipe(
  v.number(),
  v.integer("a whole number is needed"),
  v.minValue(1, "a number ≥ 1 is needed"),
);
const selector = v.pipe(v.string(), v.minLength(1, "a selector is needed, such as dot+rope+causal"));
const group = v.strictObject({ selector, heads: extent });

const schema = v.strictObject({
  vocabulary: v.pipe(extent, v.minValue(2, "a number ≥ 2 is needed")),
  width: extent,
  layers: extent,
  heads: extent,
  keyValueHeads: v.optional(extent),
  headWidth: v.optional(extent),
  convolution: v.optional(extent, 1),
  norm: v.optional(v.picklist(["rms", "layer"], "rms or layer is needed"), "rms"),
  feedForward: v.optional(v.picklist(["swiglu", "gelu", "none"], "swiglu, gelu or none is needed"), "swiglu"),
  hidden: v.optional(extent),
  experts: v.optional(expertSchema),
  tiedHead: v.optional(v.boolean("true or false is needed"), true),
  attention: v.union(
    [selector, v.array(v.union([selector, v.pipe(v.array(group), v.minLength(1))]))],
    "a selector, or a list with a selector or a list of { selector, heads } for each layer is needed",
  ),
  maximumLength: extent,
});

/**
 * Checks a configuration and fills in its defaults.
 *
 * @param config - sizes and attentions
 * @param similarities - the caller's own, which selectors may name beside the built-in ones
 * @throws DomainError `decoder-config` for unknown or bad members, `decoder-causal` for an attention that sees later tokens
 * @throws ShapeError `decoder-…` for widths, heads and layers that do not fit together
 */
export function resolveDecoderConfig(
  config: DecoderConfig,
  similarities: readonly AnyPartFactory[] = [],
): ResolvedDecoderConfig {
  const read = readConfig(config);
  const { width, heads, layers, feedForward } = read;
  const { keyValueHeads = heads } = read;
  requireDivides(
    "key/value heads",
    keyValueHeads,
    "query heads",
    heads,
    "Let each key/value head serve as many query heads",
  );
  if (read.headWidth === undefined) {
    requireDivides("heads", heads, "the width", width, "Change one of them, or give headWidth itself");
  }
  const headWidth = read.headWidth ?? width / heads;
  const experts = expertsOf(read, similarities);
  const sizes = { heads, keyValueHeads, headWidth };
  const perLayer = layersOf(read.attention, layers).map((entry): readonly HeadGroup[] =>
    typeof entry === "string" ? [{ selector: entry, heads }] : entry,
  );
  return {
    ...read,
    keyValueHeads,
    headWidth,
    hidden: hiddenOf(feedForward, width, read.hidden, experts),
    experts,
    attention: config.attention,
    groups: perLayer.map((groups, layer) => composeGroups(groups, layer, sizes, similarities)),
  };
}

function readConfig(config: DecoderConfig): v.InferOutput<typeof schema> {
  const known = Object.keys(schema.entries);
  const unknown = Object.keys(config).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new DomainError(
      "decoder-config",
      `Cannot make a decoder as it has no setting '${unknown}': it has ${known.join(", ")}. ${didYouMean(unknown, known)}`,
    );
  }
  const result = v.safeParse(schema, config);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue) ?? "?";
  throw new DomainError(
    "decoder-config",
    `Cannot make a decoder as '${name}' does not fit: ${JSON.stringify(issue.input)}. Pass another, as ${issue.message}`,
  );
}

function hiddenOf(
  feedForward: "swiglu" | "gelu" | "none",
  width: number,
  given: number | undefined,
  experts: ResolvedExperts | undefined,
): number {
  if (feedForward !== "none") {
    const dense = feedForward === "gelu" ? 4 * width : 8 * Math.ceil(width / 3);
    return given ?? (experts === undefined ? dense : 8 * Math.ceil(dense / experts.rule.choices / 8));
  }
  if (given === undefined) return 0;
  throw new DomainError(
    "decoder-config",
    `Cannot use 'hidden' as a decoder without a feed-forward has no width inside it: ${given}. Leave it out`,
  );
}

function expertsOf(
  { experts, feedForward, width }: v.InferOutput<typeof schema>,
  similarities: readonly AnyPartFactory[],
): ResolvedExperts | undefined {
  if (experts === undefined) return undefined;
  if (feedForward !== "none") return resolveExperts(experts, width, similarities);
  throw new DomainError(
    "decoder-config",
    `Cannot use 'experts' as a decoder without a feed-forward has nothing that they take the place of: ${experts.count}. ` +
      "Use swiglu or gelu",
  );
}

function layersOf(
  attention: v.InferOutput<typeof schema>["attention"],
  layers: number,
): readonly (string | readonly HeadGroup[])[] {
  if (typeof attention === "string") return Array.from({ length: layers }, () => attention);
  if (attention.length === layers) return attention;
  throw new ShapeError(
    "decoder-layers",
    `Cannot make a decoder as a list of attentions has one entry a layer: ${attention.length} entries, ${layers} layers. ` +
      "Pass one selector for all layers, or as many entries",
  );
}

function composeGroups(
  groups: readonly HeadGroup[],
  layer: number,
  { heads, keyValueHeads, headWidth }: { heads: number; keyValueHeads: number; headWidth: number },
  similarities: readonly AnyPartFactory[],
): readonly ComposedGroup[] {
  const given = groups.reduce((sum, group) => sum + group.heads, 0);
  if (given !== heads) {
    throw new ShapeError(
      "decoder-groups",
      `Cannot make layer ${layer} as its head groups must have all ${heads} heads: they have ${given}. Change their sizes`,
    );
  }
  const shared = heads / keyValueHeads;
  return groups.map(({ selector, heads: own }) => {
    requireDivides(
      "query heads per key/value head",
      shared,
      `the heads of group '${selector}'`,
      own,
      "Change its size",
    );
    const counts = { selector, heads: own, keyValueHeads: own / shared };
    const mixer = parseMixer(selector, similarities);
    if (mixer.kind === "recurrence") {
      const { recurrence, position } = mixer;
      if (recurrence.whole) refuseFuture(selector, "full", "Drop +full");
      return { ...counts, recurrence, position: embeddingPosition(position) };
    }
    const composition = compose(completeSelector(mixer.parts, {}));
    requireCausal(selector, composition);
    composition.similarity.terms(headWidth);
    if (composition.position.place === "rotation") composition.position.pairs(headWidth);
    return { ...counts, composition };
  });
}

function requireDivides(what: string, divisor: number, of: string, whole: number, cure: string): void {
  if (whole % divisor === 0) return;
  throw new ShapeError(
    "decoder-divide",
    `Cannot make a decoder as the ${what} must divide ${of}: ${divisor} and ${whole}. ${cure}`,
  );
}

function requireCausal(selector: string, { patterns }: Composition): void {
  if (patterns.some(({ causal }) => causal)) return;
  refuseFuture(selector, patterns.map(({ name }) => name).join("+"), "Add +causal");
}

function refuseFuture(selector: string, pattern: string, cure: string): never {
  throw new DomainError(
    "decoder-causal",
    `Cannot decode with '${selector}' as no token may see a later one, which it is to predict: ` +
      `the pattern is ${pattern}. ${cure}`,
  );
}
