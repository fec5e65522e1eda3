/** @file The Reformer: shared queries and keys, chosen by hashing, and reversible residuals. */
import { decoder, type Decoder } from "./decoder.ts";
import { type DecoderConfig } from "./decoder-config.ts";

/** A decoder's configuration but for what makes it a Reformer. */
export interface ReformerConfig extends Omit<DecoderConfig, "attention" | "residual" | "sharedQueryKey"> {
  /** Another attention than the paper's. */
  readonly attention?: DecoderConfig["attention"];
  /** Hashes of every vector (default 4). */
  readonly rounds?: number;
  /** Keys of a bucket that lie side by side (default 64, and no more than half of the longest sequence). */
  readonly chunk?: number;
  /** Of the hashes' directions (default 0). */
  readonly seed?: number;
}

/**
 * Makes a Reformer: keys are the queries at unit length, each query is compared with those that hash into its bucket
 * (`lsh`, N/chunk buckets), attentions and feed-forwards take turns over two streams, y₁ = x₁ + attention(x₂) and
 * y₂ = x₂ + feedForward(y₁), of which training keeps the last alone. LayerNorm and GELU if nothing else is said. Vectors on the
 * border of two buckets may fall into the other one when they are computed back, as those differ by roundings.
 *
 * Kitaev, Kaiser & Levskaya 2020, Reformer.
 *
 * @param config - as of a decoder
 * @param options - as of a decoder
 * @example
 * ```ts
 * import { reformer } from "qklab/models";
 * const model = reformer({ vocabulary: 81, width: 64, layers: 6, heads: 4, maximumLength: 1024 });
 * model.config.attention; // "dot:scale=auto+learned+causal+lsh:buckets=16,rounds=4,chunk=64,seed=0"
 * ```
 */
export function reformer(config: ReformerConfig, options: Parameters<typeof decoder>[1] = {}): Decoder {
  const { rounds = 4, chunk, seed = 0, ...others } = config;
  const places = chunk ?? Math.max(1, Math.min(64, Math.floor(config.maximumLength / 2)));
  const buckets = 2 * Math.max(1, Math.round(config.maximumLength / places / 2));
  const hashing = `lsh:buckets=${buckets},rounds=${rounds},chunk=${places},seed=${seed}`;
  return decoder(
    {
      norm: "layer",
      feedForward: "gelu",
      attention: `dot:scale=auto+learned+causal+${hashing}`,
      ...others,
      residual: "reversible",
      sharedQueryKey: true,
    },
    options,
  );
}
