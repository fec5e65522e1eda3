/** @file The layout of BERT encoders (Devlin et al. 2019), such as all-MiniLM-L6-v2. */
import * as v from "valibot";
import { type BertConfig } from "../../models/index.ts";
import { type LayoutDefinition, type TensorPlace } from "./layout.ts";
import { extent, most, positive, readConfig, word } from "./read-config.ts";

const activations = { gelu: "gelu-exact", gelu_new: "gelu", relu: "relu" } as const;

/** BERT. */
export const bert: LayoutDefinition<BertConfig> = {
  name: "bert",
  architectures: ["BertModel", "BertForMaskedLM", "BertForPreTraining"],
  read(config) {
    const members = readConfig("bert", config, {
      vocab_size: extent(most.vocabulary),
      hidden_size: extent(most.width),
      num_hidden_layers: extent(most.layers),
      num_attention_heads: extent(most.heads),
      intermediate_size: extent(most.width),
      hidden_act: v.nullish(word("gelu", "gelu_new", "relu")),
      max_position_embeddings: extent(most.length),
      type_vocab_size: v.nullish(extent(most.width)),
      layer_norm_eps: v.nullish(positive),
      position_embedding_type: v.nullish(word("absolute")),
    });
    return {
      name: "bert",
      config: {
        vocabulary: members.vocab_size,
        width: members.hidden_size,
        layers: members.num_hidden_layers,
        heads: members.num_attention_heads,
        hidden: members.intermediate_size,
        types: members.type_vocab_size ?? 2,
        feedForward: activations[members.hidden_act ?? "gelu"],
        normEpsilon: members.layer_norm_eps ?? 1e-12,
        attention: "dot+learned+full",
        maximumLength: members.max_position_embeddings,
      },
      placeOf,
      // The heads of pretraining read what an encoder gives, and change nothing of it.
      isSpare: (tensor) => /^(bert\.)?pooler\.|^cls\.|position_ids$/.test(tensor),
    };
  },
};

const outside: Readonly<Record<string, string>> = {
  "model.embed_tokens.weight": "embeddings.word_embeddings.weight",
  "model.embed_positions.weight": "embeddings.position_embeddings.weight",
  "model.embed_types.weight": "embeddings.token_type_embeddings.weight",
  "model.embed_norm.weight": "embeddings.LayerNorm.weight",
  "model.embed_norm.bias": "embeddings.LayerNorm.bias",
};
const inLayer: Readonly<Record<string, string>> = {
  "self_attn.q_proj": "attention.self.query",
  "self_attn.k_proj": "attention.self.key",
  "self_attn.v_proj": "attention.self.value",
  "self_attn.o_proj": "attention.output.dense",
  post_attention_layernorm: "attention.output.LayerNorm",
  "mlp.up_proj": "intermediate.dense",
  "mlp.down_proj": "output.dense",
  post_feedforward_layernorm: "output.LayerNorm",
};

function placeOf(parameter: string): TensorPlace | undefined {
  const name = bareNameOf(parameter);
  return name === undefined ? undefined : { names: [name, `bert.${name}`] };
}

function bareNameOf(parameter: string): string | undefined {
  if (Object.hasOwn(outside, parameter)) return outside[parameter];
  const [, layer, block, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(parameter) ?? [];
  if (block === undefined || !Object.hasOwn(inLayer, block)) return undefined;
  return `encoder.layer.${layer}.${inLayer[block]}.${kind}`;
}
