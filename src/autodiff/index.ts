/** @file The tape and what it runs. */
export { attentionOperation, type AttentionOperationOptions } from "./attention-operation.ts";
export { embeddingOperation } from "./embedding-operation.ts";
export { groupRowsOperation, joinRowsOperation } from "./expert-groups-operation.ts";
export { fusedExpertsOperation } from "./fused-experts-operation.ts";
export { fusedFeedForwardOperation } from "./fused-feed-forward-operation.ts";
export { type Arrays, type ForwardResult, type Operation } from "./operation.ts";
export { routingOperation } from "./routing-operation.ts";
export { lossStage, stage, type StageFunction } from "./stage.ts";
export { type Numbers, Tape, type TapeOptions, Value } from "./tape.ts";
