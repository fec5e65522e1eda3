/** @file Fused attention in WebAssembly: engines, the backend on them, and the text of their kernels. */
export {
  type CompiledKernel,
  type EngineOptions,
  hasRelaxedSimd,
  type ThreadPool,
  WasmEngine,
} from "./engine.ts";
export {
  describeKernel,
  type EmitOptions,
  emitWat,
  type FunctionDescription,
  type KernelDescription,
} from "./emit-wat.ts";
export {
  type BackwardOptions,
  type ForwardState,
  fusedBackward,
  type FusedResult,
  fusedForward,
} from "./fused-attention.ts";
export { type CacheSizes } from "./cache-checks.ts";
export {
  type CacheCall,
  type CacheOptions,
  type CacheResult,
  KeyValueCache,
  wasmCache,
} from "./key-value-cache.ts";
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
export { type ExpertInputs } from "./expert-call.ts";
export { type ExpertOptions, fusedExperts, fusedExpertsBackward, type ExpertState } from "./fused-experts.ts";
export { openEngine, type OpenEngineOptions } from "./open-engine.ts";
export {
  type FeedForwardInputs,
  fusedFeedForward,
  fusedFeedForwardBackward,
  keepHidden,
  type KeptHidden,
  releaseHidden,
} from "./fused-feed-forward.ts";
export { fusedLoss, type LossInputs, type LossResult } from "./fused-loss.ts";
export { fusedMerge, fusedMergeBackward, type MergeInputs } from "./fused-merge.ts";
export {
  fusedProjection,
  fusedProjectionBackward,
  type ProjectedGroup,
  type ProjectedHeads,
  type ProjectionInputs,
} from "./fused-projection.ts";
export {
  fusedRecurrence,
  fusedRecurrenceBackward,
  type FusedRecurrenceOptions,
  type FusedRecurrenceResult,
  type RecurrenceSaved,
} from "./recurrence/fused-recurrence.ts";
export { wasmRecurrenceBackend } from "./recurrence/recurrence-backend.ts";
export { type FusedRecurrenceGradients } from "./recurrence/read-gradients.ts";
export {
  RecurrentState,
  type RecurrentStateSizes,
  type TokenInputs,
  wasmRecurrence,
} from "./recurrence/recurrent-state.ts";
export { wasmBackend } from "./wasm-backend.ts";
