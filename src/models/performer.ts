/** @file The Performer: a Transformer's decoder whose softmax is estimated by random features, in time that grows with N. */
import { printPart } from "../base/part.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { performer } from "../recurrence/index.ts";
import { decoder, type Decoder } from "./decoder.ts";
import { type PresetConfig } from "./linear-transformer.ts";

/**
 * The decoder of Choromanski et al. 2021: FAVOR+ attention in Transformer blocks with LayerNorm, GELU and learned places. With the
 * same weights it estimates the decoder of `dot+learned`, whose scores it has the exponentials of on average; another seed draws the
 * features again.
 *
 * @param config - the sizes of a decoder
 * @param options - `features`: m of a head (default ⌊D·ln D⌋); `seed`: of the directions; `engine`: computes it by fused kernels
 * @throws DomainError, ShapeError when the configuration does not fit together
 * @example
 * ```ts
 * import { performerDecoder } from "qklab/models";
 * const sizes = { vocabulary: 81, width: 64, layers: 2, heads: 4, maximumLength: 256 };
 * const model = performerDecoder(sizes, { features: 64, seed: 3 });
 * model.config.attention; // "performer:features=64,seed=3+learned"
 * ```
 * @see Choromanski et al. 2021, Rethinking Attention with Performers
 */
export function performerDecoder(
  config: PresetConfig,
  options: {
    readonly features?: number;
    readonly seed?: number;
    readonly engine?: WasmEngine | undefined;
  } = {},
): Decoder {
  const { engine, ...drawn } = options;
  return decoder(
    { norm: "layer", feedForward: "gelu", ...config, attention: `${printPart(performer(drawn))}+learned` },
    { engine },
  );
}
