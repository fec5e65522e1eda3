/**
 * @file What Llama, Mistral, Qwen2 and Qwen3 share: RMSNorm, SwiGLU, rotary positions, key/value heads that queries share, and names
 * of tensors that are those of our parameters.
 */
import * as v from "valibot";
import { type DecoderConfig } from "../../models/index.ts";
import { type ModelLayout, type TensorPlace } from "./layout.ts";
import { type Absent, type Entries, extent, flag, most, positive, word } from "./read-config.ts";
import { ropeEntries, type RopeMembers, ropeSelector } from "./rope-selector.ts";

/** Members that all four have. */
export const familyEntries: Entries<Omit<FamilyMembers, "num_key_value_heads">> = {
  vocab_size: extent(most.vocabulary),
  hidden_size: extent(most.width),
  intermediate_size: extent(most.width),
  num_hidden_layers: extent(most.layers),
  num_attention_heads: extent(most.heads),
  head_dim: v.nullish(extent(most.width)),
  hidden_act: v.nullish(word("silu")),
  max_position_embeddings: extent(most.length),
  rms_norm_eps: v.nullish(positive),
  tie_word_embeddings: v.nullish(flag),
  ...ropeEntries,
};

/** Of those who do not say how many key/value heads they have by leaving it out. */
export const keyValueHeads: v.GenericSchema<number> = extent(most.heads);

/** What {@link familyEntries} read. */
export interface FamilyMembers extends RopeMembers {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads?: Absent<number>;
  readonly head_dim?: Absent<number>;
  readonly hidden_act?: Absent<"silu">;
  readonly rms_norm_eps?: Absent<number>;
  readonly tie_word_embeddings?: Absent<boolean>;
}

/** Where families differ. */
export interface FamilyTraits {
  readonly name: string;
  readonly projectionBias?: boolean;
  readonly outputBias?: boolean;
  readonly feedForwardBias?: boolean;
  readonly headNorm?: "none" | "rms";
  /** D where `head_dim` is left out (default width/H). */
  readonly headWidth?: number;
  /** Places that a layer sees; all when undefined. */
  readonly windowOf?: (layer: number) => number | undefined;
}

/** Makes the layout of a family. */
export function familyLayout(members: FamilyMembers, traits: FamilyTraits): ModelLayout<DecoderConfig> {
  const { name, headWidth, windowOf, ...ours } = traits;
  const heads = members.num_attention_heads;
  const ownWidth = members.head_dim ?? headWidth;
  const tiedHead = members.tie_word_embeddings ?? false;
  const config: DecoderConfig = {
    vocabulary: members.vocab_size,
    width: members.hidden_size,
    layers: members.num_hidden_layers,
    heads,
    keyValueHeads: members.num_key_value_heads ?? heads,
    ...(ownWidth === undefined ? {} : { headWidth: ownWidth }),
    norm: "rms",
    normEpsilon: members.rms_norm_eps ?? 1e-6,
    feedForward: "swiglu",
    hidden: members.intermediate_size,
    ...ours,
    tiedHead,
    attention: attentions(members, name, windowOf),
    maximumLength: members.max_position_embeddings,
  };
  return {
    name,
    config,
    placeOf: (parameter) => placeOf(parameter, tiedHead),
    isSpare: (tensor) => tensor.endsWith("rotary_emb.inv_freq") || (tiedHead && tensor === "lm_head.weight"),
  };
}

function attentions(
  members: FamilyMembers,
  name: string,
  windowOf: FamilyTraits["windowOf"] = () => undefined,
): DecoderConfig["attention"] {
  const whole = `dot+${ropeSelector(name, members)}+causal`;
  const { num_hidden_layers: layers, max_position_embeddings: length } = members;
  const windows = Array.from({ length: layers }, (_, layer) => windowOf(layer));
  // A window as long as the longest sequence hides nothing.
  const selectors = windows.map((w) => (w === undefined || w >= length ? whole : `${whole}+window:w=${w}`));
  return new Set(selectors).size === 1 ? selectors[0] : selectors;
}

const named = new RegExp(
  "^(lm_head\\.weight|model\\.(embed_tokens|norm)\\.weight|model\\.layers\\.\\d+\\.(" +
    "(input|post_attention)_layernorm\\.weight|self_attn\\.[qk]_norm\\.weight|" +
    "(self_attn\\.[qkvo]|mlp\\.(gate|up|down))_proj\\.(weight|bias)))$",
);

/** Models saved without their head lack the prefix; a tied head may be all that was saved of the table. */
function placeOf(parameter: string, tiedHead: boolean): TensorPlace | undefined {
  if (!named.test(parameter)) return undefined;
  const bare = parameter.replace(/^model\./, "");
  if (bare === parameter) return { names: [parameter] };
  const isTied = tiedHead && bare === "embed_tokens.weight";
  return { names: isTied ? [parameter, bare, "lm_head.weight"] : [parameter, bare] };
}
