/** @file Models with any attention of the algebra, on the tape. */
export { type DecoderConfig, type HeadGroup, type ResolvedDecoderConfig } from "./decoder-config.ts";
export { decoder, type Decoder, type TokenBatch } from "./decoder.ts";
export {
  type LabelResults,
  type Model,
  type ModelArrays,
  type ModelParameter,
  type ScoreStatistics,
} from "./model.ts";
export { recallProbe, type RecallProbeConfig, type VectorBatch } from "./recall-probe.ts";
export { type HeadState, stateBytes, type StateSizes } from "./state-bytes.ts";
