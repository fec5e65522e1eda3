/** @file What changes at once when the attention of a trained model is replaced, and by how much. */
export { attentionsOf, measureBase, measureSwap, swapStages } from "./measure-swap.ts";
export type { MeasuredBase, SwapCell, SwapMeasurement, SwapQuestions } from "./measure-swap.ts";
export { type AdapterParts, changedLayers } from "./adapter-layers.ts";
export { textWindows } from "../language/evaluate-text.ts";
export { needleTest } from "./needle.ts";
export { type TrainedModel } from "./swapped-model.ts";
export { type Calibration } from "./calibrate-swap.ts";
