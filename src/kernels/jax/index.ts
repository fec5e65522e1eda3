/** @file Attention on jax-js. */
export { attentionScores } from "./attention-scores.ts";
export { jaxBackend } from "./backend.ts";
export {
  attentionForward,
  attentionPullback,
  composedAttention,
  type ComposedOptions,
  type PullbackInputs,
} from "./composition.ts";
export {
  type ComposedInputs,
  type ComposedOutputs,
  type DifferentiableInputs,
  type KnownValues,
} from "./evaluation.ts";
export { startJax, type StartOptions } from "./start.ts";
