/** @file The layout of Qwen3 (Yang et al. 2025): Llama's, with norms of the queries and keys of every head. */
import * as v from "valibot";
import { type DecoderConfig } from "../../models/index.ts";
import { type LayoutDefinition } from "./layout.ts";
import { familyEntries, familyLayout, keyValueHeads } from "./llama-family.ts";
import { flag, readConfig } from "./read-config.ts";
import { slidingEntries, windowsOf } from "./sliding-layers.ts";

/** Qwen3. */
export const qwen3: LayoutDefinition<DecoderConfig> = {
  name: "qwen3",
  architectures: ["Qwen3ForCausalLM", "Qwen3Model"],
  read(config) {
    const members = readConfig("qwen3", config, {
      ...familyEntries,
      num_key_value_heads: keyValueHeads,
      attention_bias: v.nullish(flag),
      ...slidingEntries,
    });
    const hasBias = members.attention_bias ?? false;
    return familyLayout(members, {
      name: "qwen3",
      projectionBias: hasBias,
      outputBias: hasBias,
      headNorm: "rms",
      headWidth: 128,
      windowOf: windowsOf(members),
    });
  },
};
