/** @file Fused attention in WebAssembly: engines, the backend on them, and the text of their kernels. */
export { type EngineOptions, hasRelaxedSimd, type ThreadPool, WasmEngine } from "./engine/engine.ts";
export { describeKernel, type EmitOptions, emitWat } from "./attention/emit-wat.ts";
export { type FunctionDescription, type KernelDescription } from "./assembler/describe-module.ts";
export {
  type BackwardOptions,
  type ForwardState,
  fusedBackward,
  type FusedResult,
  fusedForward,
} from "./attention/fused-attention.ts";
export { type CacheSizes } from "./decoding/cache-checks.ts";
export {
  type CacheCall,
  type CacheOptions,
  type CacheResult,
  KeyValueCache,
  wasmCache,
} from "./decoding/key-value-cache.ts";
export {
  type ExpertPlaces,
  routeTokens,
  type RouterScores,
  type Routing,
} from "../javascript/expert-routing.ts";
export {
  mixtralRouting,
  requireExperts,
  routerComposition,
  type RoutingName,
  routingNames,
  type RoutingOptions,
  type RoutingRule,
  routings,
  switchRouting,
} from "../reference/routing-rule.ts";
export { type ExpertInputs } from "./experts/expert-call.ts";
export {
  type ExpertOptions,
  fusedExperts,
  fusedExpertsBackward,
  type ExpertState,
} from "./experts/fused-experts.ts";
export { keepLinear, keepNorm, type KeptLinear, type KeptNorm } from "./inference/kept-weights.ts";
export { inRowsCall, type Rows, type RowsCall } from "./inference/rows-call.ts";
export { openEngine, type OpenEngineOptions } from "./engine/open-engine.ts";
export {
  type FeedForwardInputs,
  fusedFeedForward,
  fusedFeedForwardBackward,
  keepHidden,
  type KeptHidden,
  releaseHidden,
} from "./dense/fused-feed-forward.ts";
export { fusedLoss, type LossInputs, type LossResult } from "./dense/fused-loss.ts";
export { fusedMerge, fusedMergeBackward, type MergeInputs } from "./dense/fused-merge.ts";
export {
  fusedProjection,
  fusedProjectionBackward,
  type ProjectedGroup,
  type ProjectedHeads,
  type ProjectionInputs,
} from "./dense/fused-projection.ts";
export {
  fusedRecurrence,
  fusedRecurrenceBackward,
  type FusedRecurrenceOptions,
  type FusedRecurrenceResult,
  type RecurrenceSaved,
} from "./recurrence/fused-recurrence.ts";
export {
  ChannelState,
  type ChannelStateSizes,
  type ChannelTokens,
  wasmChannels,
} from "./recurrence/channel-state.ts";
export {
  describeFeatureMapKernel,
  describeRecurrenceKernel,
  type RecurrenceEmitOptions,
} from "./recurrence/describe-recurrence.ts";
export { wasmRecurrenceBackend } from "./recurrence/recurrence-backend.ts";
export { type FusedRecurrenceGradients } from "./recurrence/read-gradients.ts";
export {
  RecurrentState,
  type RecurrentStateSizes,
  type TokenInputs,
  wasmRecurrence,
} from "./recurrence/recurrent-state.ts";
export { wasmBackend } from "./attention/wasm-backend.ts";
