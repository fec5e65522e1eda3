/** @file The layout of Qwen2 and Qwen2.5 (Yang et al. 2024): Llama's, with biases of queries, keys and values. */
import { type DecoderConfig } from "../../models/index.ts";
import { type LayoutDefinition } from "./layout.ts";
import { familyEntries, familyLayout, keyValueHeads } from "./llama-family.ts";
import { readConfig } from "./read-config.ts";
import { slidingEntries, windowsOf } from "./sliding-layers.ts";

/** Qwen2. */
export const qwen2: LayoutDefinition<DecoderConfig> = {
  name: "qwen2",
  architectures: ["Qwen2ForCausalLM", "Qwen2Model"],
  read(config) {
    const members = readConfig("qwen2", config, {
      ...familyEntries,
      num_key_value_heads: keyValueHeads,
      ...slidingEntries,
    });
    return familyLayout(members, { name: "qwen2", projectionBias: true, windowOf: windowsOf(members) });
  },
};
