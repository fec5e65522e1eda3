/** @file The settings that all recipes with a decoder share: its sizes and its training. */
import * as v from "valibot";
import { DomainError } from "../base/errors.ts";
import { type DecoderConfig, type RoutingName, routingNames } from "../models/index.ts";
import { nonNegative, type SettingEntries, whole } from "./setting-schemas.ts";
import { trainingRouter } from "./training-selector.ts";

/** Settings of a recipe with a decoder. */
export interface DecoderSettings {
  /** Width of the residual stream. */
  readonly width: number;
  readonly layers: number;
  /** `rwkv`: the rules rwkv4 to rwkv7 are trained in the blocks of their papers, all else in Transformer blocks as ever. */
  readonly block: "transformer" | "rwkv";
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads; 0 (default) for as many as query heads. */
  readonly keyValueHeads: number;
  /** D, width of a head, and with it the state that it keeps; 0 (default) for width/H. */
  readonly headWidth: number;
  /** Tokens that queries, keys and values are convolved over, their own among them; 1 (default) for none. */
  readonly convolution: number;
  readonly norm: "rms" | "layer";
  readonly feedForward: "swiglu" | "gelu" | "none";
  /** E, experts in place of every feed-forward; 0 (default) for one feed-forward that all tokens meet. */
  readonly experts: number;
  /** How tokens are routed to experts: `switch` or `mixtral` (default). */
  readonly routing: RoutingName;
  /** k, experts of a token; 0 (default) for what the routing has. */
  readonly choices: number;
  /** Of the tokens that an expert takes in training; `none` drops nothing, 0 (default) is for what the routing has. */
  readonly capacityFactor: number | "none";
  /** The similarity of tokens and experts, as a selector (default `dot`, calibrated as attentions are). */
  readonly router: string;
  /** The weight of the balance loss, which keeps the loads of experts even (default 0.01, 0 for none). */
  readonly balance: number;
  /** `reversible`: training keeps the activations of no layer, and computes them again from outputs. */
  readonly residual: "plain" | "reversible";
  /** Whether keys are the queries at unit length. */
  readonly sharedQueryKey: boolean;
  /** How the factors of a `strided` or `fixed` pattern are spread over layers and heads. */
  readonly patternFactors: "merged" | "interleaved" | "split";
  readonly tiedHead: boolean;
  /** Sequences of a step. */
  readonly batch: number;
  readonly steps: number;
  /** Steps of the warm-up of the learning rate. */
  readonly warmUp: number;
}

/** The settings that only experts read, with their defaults. */
const expertDefaults = {
  routing: "mixtral",
  choices: 0,
  capacityFactor: 0,
  router: "dot",
  balance: 0.01,
} as const satisfies Partial<DecoderSettings>;
const expertSettings = Object.keys(expertDefaults) as readonly (keyof typeof expertDefaults)[];

/** Entries of a settings schema; recipes add their own and may set other defaults. */
export const decoderEntries: SettingEntries<DecoderSettings> = {
  width: v.optional(whole(1), 64),
  layers: v.optional(whole(1), 2),
  block: v.optional(v.picklist(["transformer", "rwkv"], "it must be transformer or rwkv"), "transformer"),
  heads: v.optional(whole(1), 4),
  keyValueHeads: v.optional(whole(0), 0),
  headWidth: v.optional(whole(0), 0),
  convolution: v.optional(whole(1), 1),
  norm: v.optional(v.picklist(["rms", "layer"], "it must be rms or layer"), "rms"),
  feedForward: v.optional(
    v.picklist(["swiglu", "gelu", "none"], "it must be swiglu, gelu or none"),
    "swiglu",
  ),
  experts: v.optional(whole(0), 0),
  routing: v.optional(
    v.picklist(routingNames, `it must be ${routingNames.join(" or ")}`),
    expertDefaults.routing,
  ),
  choices: v.optional(whole(0), expertDefaults.choices),
  capacityFactor: v.optional(
    v.union([nonNegative, v.literal("none")], "it must be a number ≥ 0 or none"),
    expertDefaults.capacityFactor,
  ),
  router: v.optional(v.string("it must be a similarity, such as l2"), expertDefaults.router),
  balance: v.optional(nonNegative, expertDefaults.balance),
  residual: v.optional(v.picklist(["plain", "reversible"], "it must be plain or reversible"), "plain"),
  sharedQueryKey: v.optional(v.boolean("it must be true or false"), false),
  patternFactors: v.optional(
    v.picklist(["merged", "interleaved", "split"], "it must be merged, interleaved or split"),
    "merged",
  ),
  tiedHead: v.optional(v.boolean("it must be true or false"), true),
  batch: v.optional(whole(1), 16),
  steps: v.optional(whole(1), 300),
  warmUp: v.optional(whole(0), 20),
};

/** The settings of a decoder that have no effect under the others, each with the setting that makes it so. */
export function idleDecoderSettings({ experts }: DecoderSettings): Readonly<Record<string, string>> {
  return experts === 0 ? Object.fromEntries(expertSettings.map((name) => [name, "experts"])) : {};
}

/**
 * The part of a decoder's configuration that settings decide.
 *
 * @throws DomainError `unused-setting` for a setting of experts where there are none
 */
export function decoderSizes(
  settings: DecoderSettings,
): Omit<DecoderConfig, "vocabulary" | "attention" | "maximumLength"> {
  const { width, layers, heads, keyValueHeads, headWidth, convolution, norm, feedForward, tiedHead } =
    settings;
  const { residual, sharedQueryKey, patternFactors } = settings;
  requireNoExpertSettings(settings);
  const chosen = {
    ...(keyValueHeads === 0 ? {} : { keyValueHeads }),
    ...(headWidth === 0 ? {} : { headWidth }),
    ...(settings.experts === 0 ? {} : { experts: expertsOf(settings) }),
  };
  const shape = { residual, sharedQueryKey, patternFactors };
  return { width, layers, heads, ...chosen, convolution, norm, feedForward, ...shape, tiedHead };
}

function requireNoExpertSettings(settings: DecoderSettings): void {
  if (settings.experts > 0) return;
  const changed = expertSettings.find((name) => settings[name] !== expertDefaults[name]);
  if (changed === undefined) return;
  throw new DomainError(
    "unused-setting",
    `Cannot set '${changed}' as it has no effect where experts is 0: ${JSON.stringify(settings[changed])}. ` +
      "Set experts to 1 or more, or leave it out",
  );
}

function expertsOf(settings: DecoderSettings): NonNullable<DecoderConfig["experts"]> {
  const { experts: count, routing, choices, capacityFactor, router, balance } = settings;
  return {
    count,
    routing,
    router: trainingRouter(router),
    balance,
    ...(choices === 0 ? {} : { choices }),
    ...(capacityFactor === 0 ? {} : { capacityFactor }),
  };
}
