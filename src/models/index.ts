/** @file Models with any attention of the algebra, on the tape. */
export { type DecoderConfig, type HeadGroup, type ResolvedDecoderConfig } from "./decoder-config.ts";
export { type ExpertConfig, type ResolvedExperts } from "./expert-config.ts";
export { decoder, type Decoder, type TokenBatch } from "./decoder.ts";
export {
  type LabelResults,
  type Model,
  type ModelArrays,
  type ModelParameter,
  type ScoreStatistics,
} from "./model.ts";
export { moeTransformer, type MoeTransformerConfig } from "./moe-transformer.ts";
export { recallProbe, type RecallProbeConfig, type VectorBatch } from "./recall-probe.ts";
export {
  mixtralRouting,
  type RoutingOptions,
  type RoutingRule,
  switchRouting,
} from "../kernels/wasm/index.ts";
export { stateBytes, type StateSizes } from "./state-bytes.ts";
