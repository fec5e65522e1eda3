/** @file The layouts of Llama (Touvron et al. 2023, Llama 2; also Llama 3, SmolLM, TinyLlama, MiniMind) and Mistral (Jiang et al. 2023). */
import * as v from "valibot";
import { type DecoderConfig } from "../../models/index.ts";
import { type LayoutDefinition } from "./layout.ts";
import { familyEntries, familyLayout, keyValueHeads } from "./llama-family.ts";
import { extent, flag, most, readConfig } from "./read-config.ts";

/** Llama. */
export const llama: LayoutDefinition<DecoderConfig> = {
  name: "llama",
  architectures: ["LlamaForCausalLM", "LlamaModel"],
  read(config) {
    const members = readConfig("llama", config, {
      ...familyEntries,
      num_key_value_heads: v.nullish(keyValueHeads),
      attention_bias: v.nullish(flag),
      mlp_bias: v.nullish(flag),
    });
    const hasBias = members.attention_bias ?? false;
    return familyLayout(members, {
      name: "llama",
      projectionBias: hasBias,
      outputBias: hasBias,
      feedForwardBias: members.mlp_bias ?? false,
    });
  },
};

/** The window of a Mistral whose config does not speak of one. */
const mistralWindow = 4096;

/** Mistral: Llama whose layers see a window of places. */
export const mistral: LayoutDefinition<DecoderConfig> = {
  name: "mistral",
  architectures: ["MistralForCausalLM", "MistralModel"],
  read(config) {
    const members = readConfig("mistral", config, {
      ...familyEntries,
      num_key_value_heads: keyValueHeads,
      sliding_window: v.nullish(extent(most.length)),
    });
    const { sliding_window: given } = members;
    const places = given === undefined ? mistralWindow : (given ?? undefined);
    return familyLayout(members, { name: "mistral", windowOf: () => places });
  },
};
