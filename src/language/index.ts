/** @file Trained language models: their layouts, their weights, and other attentions in place of theirs. */
export {
  decoderLayouts,
  encoderLayouts,
  type LayoutDefinition,
  type ModelLayout,
  readDecoderLayout,
  readEncoderLayout,
  type TensorPlace,
} from "./layouts/index.ts";
export { loadDecoder, type LoadedModel, loadEncoder, type LoadOptions } from "./load-decoder.ts";
export { readParameters, requireFittingWeights } from "./read-parameters.ts";
export { type AttentionSwap, swapAttention } from "./swap-attention.ts";
export { textModel, type TextModel, type TextSession } from "./text-session.ts";
