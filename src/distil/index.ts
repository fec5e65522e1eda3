/** @file Teaching a swapped attention to do as the original: layer by layer, then the whole model by changes of low rank. */
export { type Distillation, distillation, type DistillationOptions } from "./distillation.ts";
