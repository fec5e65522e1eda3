/** @file The linear Transformer: a decoder whose softmax is replaced by a product of feature maps, so that it is a recurrent network. */
import { printPart } from "../base/part.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { linear, type LinearOptions } from "../recurrence/index.ts";
import { type DecoderConfig } from "./decoder-config.ts";
import { decoder, type Decoder } from "./decoder.ts";

/** Sizes of a preset; what else a decoder can be told goes before the preset's choice. */
export type PresetConfig = Omit<DecoderConfig, "attention">;

/**
 * The decoder of Katharopoulos et al. 2020: linear attention in Transformer blocks with LayerNorm, GELU and sines and cosines for
 * places, of which the paper's language models have `elu1` features.
 *
 * @param config - the sizes of a decoder
 * @param options - `map`: φ (default elu1); `engine`: computes it by fused kernels
 * @throws DomainError, ShapeError when the configuration does not fit together
 * @example
 * ```ts
 * import { linearTransformer } from "qklab/models";
 * const model = linearTransformer({ vocabulary: 81, width: 64, layers: 2, heads: 4, maximumLength: 256 });
 * model.config.attention; // "linear+sinusoidal"
 * model.stateBytes(256); // 8704, as at any other length
 * ```
 * @see Katharopoulos et al. 2020, Transformers are RNNs
 */
export function linearTransformer(
  config: PresetConfig,
  options: { readonly map?: LinearOptions["map"]; readonly engine?: WasmEngine | undefined } = {},
): Decoder {
  const { map, engine } = options;
  const rule = linear(map === undefined ? {} : { map });
  return decoder(
    { norm: "layer", feedForward: "gelu", ...config, attention: `${printPart(rule)}+sinusoidal` },
    { engine },
  );
}
