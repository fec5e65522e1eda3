/** @file Models with any attention of the algebra, on the tape. */
export { bert, type Bert, type BertBatch, type BertConfig, type ResolvedBertConfig } from "./bert.ts";
export { type DecoderConfig, type HeadGroup, type ResolvedDecoderConfig } from "./decoder-config.ts";
export { type ExpertConfig, type ResolvedExperts } from "./expert-config.ts";
export { decoder, type Decoder } from "./decoder.ts";
export { type Decoding } from "./decoding-session.ts";
export { inference, type InferenceModel, type InferenceWeights } from "./inference.ts";
export { groupPrefix } from "./group-prefix.ts";
export { type ComposedGroup, type LayerAttentions } from "./head-groups.ts";
export type {
  Activations,
  GroupActivations,
  HeadActivations,
  LayerActivations,
} from "./layer-activations.ts";
export { linearTransformer, type PresetConfig } from "./linear-transformer.ts";
export { type Mixer, parseMixer, positionOf, printMixer } from "./mixer.ts";
export {
  type LabelResults,
  type Model,
  type ModelArrays,
  type ModelParameter,
  type ScoreStatistics,
} from "./model.ts";
export { moeTransformer, type MoeTransformerConfig } from "./moe-transformer.ts";
export { performerDecoder } from "./performer.ts";
export { recallProbe, type RecallProbeConfig, type VectorBatch } from "./recall-probe.ts";
export {
  mixtralRouting,
  type RoutingName,
  routingNames,
  type RoutingOptions,
  type RoutingRule,
  switchRouting,
} from "../kernels/wasm/index.ts";
export {
  type EarlierTimeMixResult,
  rwkv4TimeMix,
  type Rwkv4TimeMixWeight,
  rwkv5TimeMix,
  type Rwkv5TimeMixWeight,
  rwkv6TimeMix,
  type Rwkv6TimeMixWeight,
  rwkvGatedChannelMix,
  type RwkvGatedChannelMixWeight,
} from "./rwkv-earlier.ts";
export { type TimeMixState, type Weights } from "./rwkv-parts.ts";
export { type ResolvedRwkvConfig, type RwkvConfig, type RwkvRule, rwkvRules } from "./rwkv-config.ts";
export { rwkvDecoder, type RwkvDecoder } from "./rwkv-decoder.ts";
export {
  rwkv7ChannelMix,
  type Rwkv7ChannelMixWeight,
  rwkv7TimeMix,
  type Rwkv7TimeMixResult,
  type Rwkv7TimeMixWeight,
} from "./rwkv.ts";
export { reformer, type ReformerConfig } from "./reformer.ts";
export { sparseTransformer, type SparseTransformerConfig } from "./sparse-transformer.ts";
export { type HeadState, recurrentState, stateBytes, type StateSizes } from "./state-bytes.ts";
export { type TokenBatch, type TokenModel } from "./token-model.ts";
