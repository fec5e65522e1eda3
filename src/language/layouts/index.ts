/** @file All layouts, and the choice among them by what a `config.json` says of itself. */
import { UnsupportedError } from "../../base/errors.ts";
import { type BertConfig, type DecoderConfig } from "../../models/index.ts";
import { bert } from "./bert.ts";
import { gpt2 } from "./gpt2.ts";
import { type LayoutDefinition, type ModelLayout } from "./layout.ts";
import { llama, mistral } from "./llama.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { membersOf } from "./read-config.ts";

export type { LayoutDefinition, ModelLayout, TensorPlace } from "./layout.ts";

/** The families of decoders. */
export const decoderLayouts: readonly LayoutDefinition<DecoderConfig>[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  gpt2,
];

/** The families of encoders. */
export const encoderLayouts: readonly LayoutDefinition<BertConfig>[] = [bert];

/**
 * Reads the `config.json` of a decoder: Llama, Mistral, Qwen2, Qwen3 or GPT-2.
 *
 * @param config - parsed JSON, of any origin; a member `rope_interleaved: true` says that places turn adjacent pairs of numbers, as in
 *   the weights of llama2.c
 * @throws UnsupportedError `config-model` for another family, `config-feature` and `config-rope` for a feature that is not here;
 *   DomainError `config-invalid` for a member that is missing or does not fit
 * @example
 * ```ts
 * import { readDecoderLayout } from "qklab/language";
 * const layout = readDecoderLayout({
 *   model_type: "llama", vocab_size: 6400, hidden_size: 512, intermediate_size: 1408, num_hidden_layers: 8,
 *   num_attention_heads: 8, num_key_value_heads: 2, max_position_embeddings: 32768, rope_theta: 1e6,
 * });
 * layout.config.attention; // "dot+rope:theta=1000000+causal"
 * ```
 */
export function readDecoderLayout(config: unknown): ModelLayout<DecoderConfig> {
  return definitionOf(config, decoderLayouts).read(config);
}

/**
 * Reads the `config.json` of an encoder: BERT.
 *
 * @throws as {@link readDecoderLayout}
 */
export function readEncoderLayout(config: unknown): ModelLayout<BertConfig> {
  return definitionOf(config, encoderLayouts).read(config);
}

function definitionOf<Config>(
  config: unknown,
  definitions: readonly LayoutDefinition<Config>[],
): LayoutDefinition<Config> {
  const { model_type: type, architectures } = membersOf(config);
  const listed = Array.isArray(architectures) ? (architectures as readonly unknown[]) : [];
  const hasArchitecture = ({ architectures: known }: LayoutDefinition<Config>): boolean =>
    listed.some((architecture) => known.includes(String(architecture)));
  const found =
    typeof type === "string"
      ? definitions.find(({ name }) => name === type)
      : definitions.find((definition) => hasArchitecture(definition));
  if (found !== undefined && (listed.length === 0 || hasArchitecture(found))) return found;
  const seen = [
    ...(typeof type === "string" ? [`model_type ${type.slice(0, 40)}`] : []),
    ...(listed.length > 0 ? [`architectures ${listed.map(String).join(", ").slice(0, 80)}`] : []),
  ];
  throw new UnsupportedError(
    "config-model",
    `Cannot make a model as its config names none of the families known here: ${seen.join(", ") || "no model_type"}. ` +
      `Use ${definitions.map(({ name, architectures: [first] }) => `${name} (${first})`).join(", ")}`,
  );
}
