/** @file The public attention, its selectors and its f64 reference. */
export { type Attention, attention, type AttentionCall, type BackwardCall } from "./attention.ts";
export {
  type AttentionBackend,
  type AttentionGradients,
  type AttentionResult,
  type ExtraOutput,
  referenceBackend,
} from "./backend.ts";
export { calibrate, calibratedParameters, rowSpread, similarityAlone } from "./calibration.ts";
export { type CheckOptions, checkSimilarity } from "./check-similarity.ts";
export { type AttentionSpec, compose, type Composition, parametersOf } from "./composition.ts";
export { type AttentionInputs, type AttentionSizes, checkInputs, type MaskTensor } from "./inputs.ts";
export { initialParameters, resolveParameters } from "./parameters.ts";
export {
  referenceBackward,
  referenceForward,
  type ReferenceGradients,
  type ReferenceOptions,
  type ReferenceResult,
} from "./reference.ts";
export {
  type AnyPartFactory,
  completeSelector,
  parseSelector,
  partFactories,
  printSelector,
  type SelectedParts,
  splitSelectors,
} from "./selector.ts";
export { type LawReport, printReport, type SimilarityReport } from "./similarity-report.ts";
