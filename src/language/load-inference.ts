/** @file A trained decoder that generates on an engine, from its config and its weights: 8-bit matrices stay 8-bit numbers. */
import { type WeightSource } from "../checkpoints/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import {
  decoder,
  type DecoderConfig,
  inference,
  type InferenceModel,
  type InferenceWeights,
} from "../models/index.ts";
import { type ModelLayout } from "./layouts/index.ts";
import { type LoadOptions } from "./load-decoder.ts";
import { readParameters, readStoredParameters, requireFittingWeights } from "./read-parameters.ts";

/** How a model is loaded; the engine computes everything, and holds the weights. */
export type InferenceOptions = LoadOptions & { readonly engine: WasmEngine };

/**
 * Loads a decoder into an engine's memory. Matrices that are stored as 8-bit numbers, each whole and as [out, in], are never widened.
 *
 * @param source - its weights, in any format
 * @param layout - what `readDecoderLayout` made of its config
 * @throws as `loadDecoder` and `inference`
 * @example
 * ```ts
 * import { memoryWeights } from "qklab/checkpoints";
 * import { decoder } from "qklab/models";
 * import { loadInference, readDecoderLayout } from "qklab/language";
 * import { WasmEngine } from "qklab/wasm";
 * const layout = readDecoderLayout({
 *   model_type: "llama", vocab_size: 8, hidden_size: 4, intermediate_size: 8, num_hidden_layers: 1,
 *   num_attention_heads: 2, max_position_embeddings: 16,
 * });
 * const weights = decoder(layout.config).parameters.map(({ name, initial }) => [name, initial(1)]);
 * const model = await loadInference(memoryWeights(Object.fromEntries(weights)), layout, { engine: new WasmEngine() });
 * const logits = await model.start().take(Int32Array.of(1, 2, 3)); // [1, 8]
 * ```
 */
export async function loadInference(
  source: WeightSource,
  layout: ModelLayout<DecoderConfig>,
  { attention, tensors = {}, seed = 0, ...options }: InferenceOptions,
): Promise<InferenceModel> {
  // Weights are those of the attention that they were trained with, whatever takes its place.
  requireFittingWeights(source, layout, decoder(layout.config).parameters);
  const config = attention === undefined ? layout.config : { ...layout.config, attention };
  const { similarities = [] } = options;
  const wanted = decoder(config, { similarities }).parameters.filter(
    ({ name }) => !Object.hasOwn(tensors, name),
  );
  const stored = await readStoredParameters(source, layout, wanted);
  const others = wanted.filter(({ name }) => !Object.hasOwn(stored, name));
  const weights: InferenceWeights = {
    ...stored,
    ...(await readParameters(source, layout, others, seed)),
    ...tensors,
  };
  return inference(config, weights, options);
}
