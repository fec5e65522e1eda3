/** @file The configuration of a decoder: its sizes and the attention of every head, with defaults and checks. */
import * as v from "valibot";
import { type AnyPartFactory } from "../attention/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { spreadFactors } from "./pattern-factors.ts";
import { normEpsilon } from "../kernels/reference/norm.ts";
import { type ExpertConfig, expertSchema, type ResolvedExperts, resolveExperts } from "./expert-config.ts";
import {
  type ComposedGroup,
  composeLayers,
  type LayerAttentions,
  layersOf,
  requireDivides,
} from "./head-groups.ts";
import { extent, layerAttentions, positive, readSettings } from "./read-settings.ts";

export type { ComposedAttention, ComposedGroup, HeadGroup } from "./head-groups.ts";

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
  /** ε under the root of every norm (default 1e-5). */
  readonly normEpsilon?: number;
  /**
   * Default `swiglu`, down(silu(gate x) ⊙ up x). The others are down(f(up x)): `gelu` is f(h) = h·(1 + tanh u)/2 with
   * u = √(2/π)·(h + 0.044715 h³), as in GPT-2, `gelu-exact` f(h) = h·Φ(h), as in BERT, and `relu` f(h) = max(h, 0).
   */
  readonly feedForward?: "swiglu" | "gelu" | "gelu-exact" | "relu" | "none";
  /**
   * Width inside the feed-forward (default: 8/3·width for SwiGLU, rounded up to a multiple of 8, and 4·width for the others; with
   * experts that over the k of a token, rounded up to a multiple of 8, so that it meets as many weights).
   */
  readonly hidden?: number;
  /** Whether queries, keys and values have biases, as in Qwen2 (default false). */
  readonly projectionBias?: boolean;
  /** Whether the projection out of the heads has a bias, as in GPT-2 (default false). */
  readonly outputBias?: boolean;
  /** Whether the feed-forward's products have biases, as in GPT-2 (default false). */
  readonly feedForwardBias?: boolean;
  /**
   * Default `none`. `rms`: RMSNorm of the queries and of the keys of every head, before places turn them, with one weight [D] for all
   * heads, as in Qwen3.
   */
  readonly headNorm?: "none" | "rms";
  /** What token embeddings are multiplied by before places are added (default 1). */
  readonly embeddingScale?: number;
  /**
   * Default `plain`: x + F(x). `reversible`: attentions and feed-forwards take turns over two streams, y1 = x1 + attention(x2)
   * and y2 = x2 + feedForward(y1), and training computes activations again from outputs instead of keeping them.
   */
  readonly residual?: "plain" | "reversible";
  /** Whether keys are the queries at unit length, k = q/‖q‖, without a projection of their own (default false). */
  readonly sharedQueryKey?: boolean;
  /** Experts in place of every layer's feed-forward, each of width `hidden` inside. */
  readonly experts?: ExpertConfig;
  /** Whether the output layer is the embedding table (default true). */
  readonly tiedHead?: boolean;
  /**
   * How the two factors of a `strided` or `fixed` pattern are spread, where one selector is for all layers: every head has both
   * (`merged`, default), the layers take them in turn (`interleaved`), or half of the heads have the one, half the other (`split`).
   */
  readonly patternFactors?: "merged" | "interleaved" | "split";
  /** One selector for all layers, or one entry a layer, each a selector or a list of head groups. */
  readonly attention: LayerAttentions;
  /** The longest sequence; positions that are `learned` have so many rows. */
  readonly maximumLength: number;
}

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

const optionalFlag = v.optional(v.boolean("true or false is needed"), false);

const schema = v.strictObject({
  vocabulary: v.pipe(extent, v.minValue(2, "a number ≥ 2 is needed")),
  width: extent,
  layers: extent,
  heads: extent,
  keyValueHeads: v.optional(extent),
  headWidth: v.optional(extent),
  convolution: v.optional(extent, 1),
  norm: v.optional(v.picklist(["rms", "layer"], "rms or layer is needed"), "rms"),
  normEpsilon: v.optional(positive, normEpsilon),
  feedForward: v.optional(
    v.picklist(
      ["swiglu", "gelu", "gelu-exact", "relu", "none"],
      "swiglu, gelu, gelu-exact, relu or none is needed",
    ),
    "swiglu",
  ),
  hidden: v.optional(extent),
  projectionBias: optionalFlag,
  outputBias: optionalFlag,
  feedForwardBias: optionalFlag,
  headNorm: v.optional(v.picklist(["none", "rms"], "none or rms is needed"), "none"),
  embeddingScale: v.optional(positive, 1),
  residual: v.optional(v.picklist(["plain", "reversible"], "plain or reversible is needed"), "plain"),
  sharedQueryKey: optionalFlag,
  experts: v.optional(expertSchema),
  tiedHead: v.optional(v.boolean("true or false is needed"), true),
  patternFactors: v.optional(
    v.picklist(["merged", "interleaved", "split"], "merged, interleaved or split is needed"),
    "merged",
  ),
  attention: layerAttentions,
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
  const read = readSettings("a decoder", "decoder-config", schema, config);
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
  requireTwoStreams(read);
  requireKeyPerQuery(read, keyValueHeads);
  requireSomethingToBias(read);
  const experts = expertsOf(read, similarities);
  const perLayer = layersOf(spreadFactors(read, similarities), layers);
  const sizes = { heads, keyValueHeads, headWidth, sees: "past" } as const;
  return {
    ...read,
    keyValueHeads,
    headWidth,
    hidden: hiddenOf(feedForward, width, read.hidden, experts),
    experts,
    attention: config.attention,
    groups: composeLayers(perLayer, sizes, similarities),
  };
}

function hiddenOf(
  feedForward: ResolvedDecoderConfig["feedForward"],
  width: number,
  given: number | undefined,
  experts: ResolvedExperts | undefined,
): number {
  if (feedForward !== "none") {
    const dense = feedForward === "swiglu" ? 8 * Math.ceil(width / 3) : 4 * width;
    return given ?? (experts === undefined ? dense : 8 * Math.ceil(dense / experts.rule.choices / 8));
  }
  if (given === undefined) return 0;
  throw new DomainError(
    "decoder-config",
    `Cannot use 'hidden' as a decoder without a feed-forward has no width inside it: ${given}. Leave it out`,
  );
}

function requireTwoStreams({ residual, feedForward, experts }: v.InferOutput<typeof schema>): void {
  if (residual === "plain") return;
  if (feedForward === "none") {
    throw new DomainError(
      "decoder-config",
      "Cannot make reversible residuals as attentions and feed-forwards take turns over two streams: feedForward is none. " +
        "Use swiglu or gelu",
    );
  }
  if (experts !== undefined) {
    throw new DomainError(
      "decoder-config",
      "Cannot make reversible residuals as blocks must add to a stream and give nothing else: " +
        `${experts.count} experts give what balances them. Leave experts out, or use plain residuals`,
    );
  }
}

function requireKeyPerQuery(
  { sharedQueryKey, headNorm, heads }: v.InferOutput<typeof schema>,
  keyValueHeads: number,
): void {
  if (!sharedQueryKey) return;
  if (keyValueHeads !== heads) {
    throw new ShapeError(
      "decoder-shared",
      `Cannot make keys of queries as each query head has a key head then: ${keyValueHeads} key/value heads, ${heads} heads. ` +
        "Leave keyValueHeads out",
    );
  }
  if (headNorm === "none") return;
  throw new DomainError(
    "decoder-shared",
    `Cannot make keys of queries as such keys have unit length already: headNorm is ${headNorm}. Leave headNorm out`,
  );
}

function requireSomethingToBias({
  feedForwardBias,
  feedForward,
  experts,
}: v.InferOutput<typeof schema>): void {
  if (!feedForwardBias || (feedForward !== "none" && experts === undefined)) return;
  throw new DomainError(
    "decoder-config",
    "Cannot use 'feedForwardBias' as only a feed-forward of its own has biases: " +
      `${experts === undefined ? "there is none" : `there are ${experts.count} experts`}. Leave it out`,
  );
}

function expertsOf(
  { experts, feedForward, width }: v.InferOutput<typeof schema>,
  similarities: readonly AnyPartFactory[],
): ResolvedExperts | undefined {
  if (experts === undefined) return undefined;
  if (feedForward === "swiglu" || feedForward === "gelu") {
    return resolveExperts(experts, width, similarities);
  }
  throw new DomainError(
    "decoder-config",
    `Cannot use 'experts' as they are feed-forwards of one of two kinds: ${experts.count} experts, feedForward is ` +
      `${feedForward}. Use swiglu or gelu`,
  );
}
