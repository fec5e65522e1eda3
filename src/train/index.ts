/**
 * @file Training, for Node and browsers alike. Run folders and processes of runs are for Node (`run-folder.node.ts`,
 * `run-process.node.ts`).
 */
export {
  type AnnotatedTrainable,
  type RunOutcome,
  type RunProgress,
  train,
  type TrainOptions,
} from "./loop.ts";
export { type Evaluate, modelTrainable, type ModelTraining } from "./model-trainable.ts";
export { adamW, type AdamWOptions, type OptimisedParameter, type Optimiser } from "./optimiser.ts";
export * from "./recipes/index.ts";
export {
  type Checkpoint,
  type RunIdentity,
  type RunStorage,
  type RunSummary,
  type StepRecord,
} from "./run-storage.ts";
export { learningRateAt, type Schedule } from "./schedule.ts";
export {
  type Better,
  type DataSource,
  type MetricDefinition,
  type Metrics,
  type Recipe,
  type RunRequest,
  type Snapshot,
  type StepReport,
  type Trainable,
} from "./trainable.ts";
export { trainingSelector } from "./training-selector.ts";
