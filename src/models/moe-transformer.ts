/** @file A decoder whose feed-forwards are mixtures of experts, eight of them if nothing else is said. */
import { decoder, type Decoder } from "./decoder.ts";
import { type DecoderConfig } from "./decoder-config.ts";
import { type ExpertConfig } from "./expert-config.ts";

/** A decoder's configuration, with experts. */
export interface MoeTransformerConfig extends Omit<DecoderConfig, "experts"> {
  readonly experts?: Partial<ExpertConfig>;
}

/**
 * Makes a decoder with experts: in every layer a router, which is an attention over expert keys with any similarity of the
 * algebra, sends each token to a few of them, and no others are computed (Shazeer et al. 2017). The loss has the balance
 * loss added to it. Where nothing goes backward no token is dropped, so that its logits depend on earlier tokens alone.
 *
 * @param config - as of a decoder; `experts` is 8 with `mixtral` routing by `dot:scale=auto` where it says nothing else
 * @param options - as of a decoder
 * @throws DomainError `routing-…` for more choices than experts, or a capacity factor that is not above zero
 * @example
 * ```ts
 * import { moeTransformer } from "qklab/models";
 * const model = moeTransformer({
 *   vocabulary: 81, width: 64, layers: 2, heads: 4, attention: "dot:scale=auto+rope+causal", maximumLength: 64,
 *   experts: { count: 4, routing: "switch", router: "l2:beta=auto" },
 * });
 * model.parameterCount; // 309130
 * model.activeParameterCount; // 106378
 * ```
 */
export function moeTransformer(
  config: MoeTransformerConfig,
  options: Parameters<typeof decoder>[1] = {},
): Decoder {
  return decoder({ ...config, experts: { count: 8, ...config.experts } }, options);
}
