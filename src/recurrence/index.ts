/** @file The recurrent class: a state per head that tokens update and read, in rules and in three forms that agree. */
export {
  type GradientName,
  type RecurrenceBackend,
  recurrenceBackward,
  recurrenceForward,
  type RecurrenceGradients,
  type RecurrenceResult,
  recurrentReference,
} from "./backend.ts";
export {
  causalConvolution,
  causalConvolutionBackward,
  type CausalConvolutionInputs,
  type CausalConvolutionOptions,
  type CausalConvolutionResult,
} from "./causal-convolution.ts";
export { type RecurrenceInputs } from "./check-call.ts";
export {
  composeRecurrence,
  isTurnable,
  printRecurrence,
  type RecurrenceComposition,
  type RecurrenceSpec,
} from "./composition.ts";
export {
  coreBackward,
  type CoreCotangents,
  coreForward,
  type CoreGradients,
  type CoreResult,
  type Form,
} from "./core-reference.ts";
export { checkCoreInputs, type Core, type CoreInputs, type CoreSizes } from "./core.ts";
export { deltanet } from "./deltanet.ts";
export { gatedDeltanet } from "./gated-deltanet.ts";
export { gla } from "./gla.ts";
export { linear, type LinearOptions } from "./linear.ts";
export { performer, type PerformerOptions } from "./performer.ts";
export {
  type Recurrence,
  recurrence,
  type RecurrenceBackwardCall,
  type RecurrenceCall,
} from "./recurrence.ts";
export { type AnyRuleFactory, recurrences } from "./recurrences.ts";
export { retnet } from "./retnet.ts";
export {
  type ChunkOption,
  type InputName,
  type Lifted,
  type LiftedChannels,
  type RecurrentRule,
  type RuleCall,
  type RuleGradients,
  type RuleInput,
  type RuleSizes,
} from "./rule.ts";
export { rwkv4 } from "./rwkv4.ts";
export { rwkv5, rwkv6 } from "./rwkv5-6.ts";
export { rwkv7 } from "./rwkv7.ts";
export { type AnySelected, parseAnySelector, parseRecurrence } from "./selector.ts";
