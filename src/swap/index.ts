/** @file What changes at once when the attention of a trained model is replaced, and by how much. */
export { attentionsOf, measureBase, measureSwap, swapStages } from "./measure-swap.ts";
export type {
  BaseMeasurement,
  Continuation,
  MeasuredBase,
  OnStage,
  SwapCell,
  SwapMeasurement,
  SwapQuestions,
} from "./measure-swap.ts";
export { textWindows, type TextScore } from "./evaluate-text.ts";
export { meanOfHeads, type HeadDivergence, type LayerDivergence } from "./layer-divergence.ts";
export { needleTest, type NeedleScore } from "./needle.ts";
export { type TrainedModel } from "./swapped-model.ts";
export { type Calibration } from "./calibrate-swap.ts";
