/** @file The tape and what it runs. */
export { attentionOperation, type AttentionOperationOptions } from "./attention-operation.ts";
export { embeddingOperation } from "./embedding-operation.ts";
export { groupRowsOperation, joinRowsOperation } from "./expert-groups-operation.ts";
export { fusedExpertsOperation } from "./fused-experts-operation.ts";
export { fusedFeedForwardOperation } from "./fused-feed-forward-operation.ts";
export { fusedLossOperation } from "./fused-loss-operation.ts";
export { fusedMergeOperation, fusedProjectionOperation } from "./fused-projection-operation.ts";
export {
  type Arrays,
  type ForwardResult,
  type Operation,
  type TensorForm,
  type Tensors,
} from "./operation.ts";
export { fusedRecurrenceOperation } from "./fused-recurrence-operation.ts";
export { routingOperation } from "./routing-operation.ts";
export { recurrenceOperation, type RecurrenceOperationOptions } from "./recurrence-operation.ts";
export { lossStage, stage, type StageFunction } from "./stage.ts";
export { Tape, type TapeOptions } from "./tape.ts";
export { type Numbers, Value } from "./value.ts";
