/** @file The Sparse Transformer: strided or fixed patterns of about √N keys a row, in factors. */
import { decoder, type Decoder } from "./decoder.ts";
import { type DecoderConfig } from "./decoder-config.ts";

/** A decoder's configuration but for what makes it a Sparse Transformer. */
export interface SparseTransformerConfig extends Omit<DecoderConfig, "attention"> {
  /** The attention without its pattern (default `dot:scale=auto+learned`). */
  readonly attention?: string;
  /** `strided` for what has a period, as images do; `fixed` for what has none, as text. */
  readonly pattern: "strided" | "fixed";
  /** Places of a stride and its window, or of a block (default √N, rounded). */
  readonly block?: number;
  /** Places of a block of `fixed` that later blocks see (default an eighth of the block, rounded up). */
  readonly columns?: number;
}

/**
 * Makes a Sparse Transformer: a decoder of LayerNorm and GELU blocks, the norm first, whose weights into the residual stream begin
 * smaller by √(2·layers); the factors of its pattern take turns from layer to layer if nothing else is said (`patternFactors`).
 *
 * Child, Gray, Radford & Sutskever 2019, Generating Long Sequences with Sparse Transformers.
 *
 * @param config - as of a decoder
 * @param options - as of a decoder
 * @example
 * ```ts
 * import { sparseTransformer } from "qklab/models";
 * const sizes = { vocabulary: 81, width: 64, layers: 2, heads: 4, maximumLength: 64 };
 * const model = sparseTransformer({ ...sizes, pattern: "strided" });
 * model.config.groups.map(([{ selector }]) => selector);
 * // ["dot:scale=auto+learned+causal+window:w=8", "dot:scale=auto+learned+strided:stride=8,local=1"]
 * ```
 */
export function sparseTransformer(
  config: SparseTransformerConfig,
  options: Parameters<typeof decoder>[1] = {},
): Decoder {
  const { attention = "dot:scale=auto+learned", pattern, block, columns, ...others } = config;
  const places = block ?? Math.max(1, Math.round(Math.sqrt(config.maximumLength)));
  const written =
    pattern === "strided"
      ? `strided:stride=${places},local=${places}`
      : `fixed:block=${places},columns=${columns ?? Math.ceil(places / 8)}`;
  return decoder(
    {
      norm: "layer",
      feedForward: "gelu",
      patternFactors: "interleaved",
      ...others,
      attention: `${attention}+${written}`,
    },
    options,
  );
}
