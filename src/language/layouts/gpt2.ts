/**
 * @file The layout of GPT-2 (Radford et al. 2019): LayerNorm, learned positions, biases everywhere, and matrices as [in, out] with
 * queries, keys and values side by side.
 */
import * as v from "valibot";
import { type DecoderConfig } from "../../models/index.ts";
import { type LayoutDefinition, type TensorPlace } from "./layout.ts";
import { extent, flag, most, positive, readConfig, word } from "./read-config.ts";

const activations = {
  gelu_new: "gelu",
  gelu_pytorch_tanh: "gelu",
  gelu: "gelu-exact",
  relu: "relu",
} as const;

/** Members that say the same as others, or that another value would give another model. */
const only = (value: boolean): v.GenericSchema<boolean | null | undefined> =>
  v.nullish(v.pipe(flag, v.value(value, `only ${value} is known here`)));

/** GPT-2. */
export const gpt2: LayoutDefinition<DecoderConfig> = {
  name: "gpt2",
  architectures: ["GPT2LMHeadModel", "GPT2Model"],
  read(config) {
    const members = readConfig("gpt2", config, {
      vocab_size: extent(most.vocabulary),
      n_positions: extent(most.length),
      n_ctx: v.nullish(extent(most.length)),
      n_embd: extent(most.width),
      n_layer: extent(most.layers),
      n_head: extent(most.heads),
      n_inner: v.nullish(extent(most.width)),
      activation_function: v.nullish(word("gelu_new", "gelu_pytorch_tanh", "gelu", "relu")),
      layer_norm_epsilon: v.nullish(positive),
      tie_word_embeddings: v.nullish(flag),
      scale_attn_weights: v.nullish(flag),
      scale_attn_by_inverse_layer_idx: only(false),
      // Another order of the same products.
      reorder_and_upcast_attn: v.nullish(flag),
      add_cross_attention: only(false),
    });
    const tiedHead = members.tie_word_embeddings ?? true;
    const similarity = (members.scale_attn_weights ?? true) ? "dot" : "dot:scale=1";
    return {
      name: "gpt2",
      config: {
        vocabulary: members.vocab_size,
        width: members.n_embd,
        layers: members.n_layer,
        heads: members.n_head,
        norm: "layer",
        normEpsilon: members.layer_norm_epsilon ?? 1e-5,
        feedForward: activations[members.activation_function ?? "gelu_new"],
        hidden: members.n_inner ?? 4 * members.n_embd,
        projectionBias: true,
        outputBias: true,
        feedForwardBias: true,
        tiedHead,
        attention: `${similarity}+learned+causal`,
        maximumLength: members.n_positions,
      },
      placeOf,
      isSpare: (tensor) =>
        /(^|\.)h\.\d+\.attn\.(masked_)?bias$/.test(tensor) || (tiedHead && tensor === "lm_head.weight"),
    };
  },
};

const outside: Readonly<Record<string, string>> = {
  "model.embed_tokens.weight": "wte.weight",
  "model.embed_positions.weight": "wpe.weight",
  "model.norm.weight": "ln_f.weight",
  "model.norm.bias": "ln_f.bias",
};
const inLayer: Readonly<Record<string, Pick<TensorPlace, "stored" | "part"> & { readonly name: string }>> = {
  input_layernorm: { name: "ln_1" },
  post_attention_layernorm: { name: "ln_2" },
  "self_attn.q_proj": { name: "attn.c_attn", stored: "in-out", part: { index: 0, count: 3 } },
  "self_attn.k_proj": { name: "attn.c_attn", stored: "in-out", part: { index: 1, count: 3 } },
  "self_attn.v_proj": { name: "attn.c_attn", stored: "in-out", part: { index: 2, count: 3 } },
  "self_attn.o_proj": { name: "attn.c_proj", stored: "in-out" },
  "mlp.up_proj": { name: "mlp.c_fc", stored: "in-out" },
  "mlp.down_proj": { name: "mlp.c_proj", stored: "in-out" },
};

const withPrefix = (name: string): readonly string[] => [`transformer.${name}`, name];

function placeOf(parameter: string): TensorPlace | undefined {
  if (parameter === "lm_head.weight") return { names: [parameter] };
  if (Object.hasOwn(outside, parameter)) return { names: withPrefix(outside[parameter]) };
  const [, layer, block, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(parameter) ?? [];
  if (block === undefined || !Object.hasOwn(inLayer, block)) return undefined;
  const { name, ...place } = inLayer[block];
  return { names: withPrefix(`h.${layer}.${name}.${kind}`), ...place };
}
