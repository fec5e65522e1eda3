/** @file A trained decoder, and a trained encoder, from its config and its weights, with its own attention or with another. */
import { type AnyPartFactory } from "../attention/index.ts";
import { type Tensor } from "../base/tensor.ts";
import { type WeightSource } from "../checkpoints/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import {
  bert,
  type Bert,
  type BertConfig,
  decoder,
  type Decoder,
  type DecoderConfig,
  type LayerAttentions,
  type ModelParameter,
} from "../models/index.ts";
import { type ModelLayout } from "./layouts/index.ts";
import { readParameters, requireFittingWeights } from "./read-parameters.ts";

/** How a model is loaded. */
export interface LoadOptions {
  /** In place of the attention of its config. */
  readonly attention?: LayerAttentions;
  /** The caller's own similarities, which selectors may name. */
  readonly similarities?: readonly AnyPartFactory[];
  /** Computes the attentions, and of a decoder all blocks that it has kernels for; jax-js when absent. */
  readonly engine?: WasmEngine | undefined;
  /** Numbers of some parameters, by their names, in place of those of the source: what training has moved. */
  readonly tensors?: Readonly<Record<string, Tensor>>;
  /** Of parameters that only another attention has, and that `tensors` lacks (default 0). */
  readonly seed?: number;
}

/** A model with its numbers. */
export interface LoadedModel<Model> {
  readonly model: Model;
  /** Every parameter by its name, to be passed to the model as arrays. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/**
 * Loads a decoder of the layouts of Llama, Mistral, Qwen2, Qwen3 and GPT-2.
 *
 * @param source - its weights, in any format
 * @param layout - what `readDecoderLayout` made of its config
 * @throws MissingError `weights-missing`, ShapeError `weights-shape`, DomainError `weights-foreign` for a config that does not fit
 *   its weights, NumbersError `not-finite`, and what `decoder` throws
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { memoryWeights } from "qklab/checkpoints";
 * import { decoder } from "qklab/models";
 * import { loadDecoder, readDecoderLayout } from "qklab/language";
 * const layout = readDecoderLayout({
 *   model_type: "llama", vocab_size: 8, hidden_size: 4, intermediate_size: 8, num_hidden_layers: 1,
 *   num_attention_heads: 2, max_position_embeddings: 16,
 * });
 * const weights = decoder(layout.config).parameters.map(({ name, initial }) => [name, initial(1)]);
 * const { model } = await loadDecoder(memoryWeights(Object.fromEntries(weights)), layout, { attention: "l2+rope+causal" });
 * model.config.attention; // "l2+rope+causal"
 * ```
 */
export function loadDecoder(
  source: WeightSource,
  layout: ModelLayout<DecoderConfig>,
  options: LoadOptions = {},
): Promise<LoadedModel<Decoder>> {
  return loadModel(source, layout, options, decoder);
}

/**
 * Loads an encoder of the layout of BERT.
 *
 * @param source - its weights, in any format
 * @param layout - what `readEncoderLayout` made of its config
 * @throws as {@link loadDecoder}
 */
export function loadEncoder(
  source: WeightSource,
  layout: ModelLayout<BertConfig>,
  options: LoadOptions = {},
): Promise<LoadedModel<Bert>> {
  return loadModel(source, layout, options, bert);
}

async function loadModel<
  Config extends { readonly attention: LayerAttentions },
  Model extends { readonly parameters: readonly ModelParameter[]; dispose(): void },
>(
  source: WeightSource,
  layout: ModelLayout<Config>,
  { attention, tensors = {}, seed = 0, ...options }: LoadOptions,
  make: (config: Config, options: Omit<LoadOptions, "attention" | "tensors" | "seed">) => Model,
): Promise<LoadedModel<Model>> {
  // Weights are those of the attention that they were trained with, whatever takes its place.
  const own = make(layout.config, {});
  requireFittingWeights(source, layout, own.parameters);
  own.dispose();
  const model = make(attention === undefined ? layout.config : { ...layout.config, attention }, options);
  try {
    const others = model.parameters.filter(({ name }) => !Object.hasOwn(tensors, name));
    return { model, tensors: { ...(await readParameters(source, layout, others, seed)), ...tensors } };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
