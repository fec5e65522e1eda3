/** @file The recurrent class: a matrix state per head, updated token by token. */
export {
  coreBackward,
  type CoreCotangents,
  coreForward,
  type CoreGradients,
  type CoreResult,
  type Form,
} from "./core-reference.ts";
export { checkCoreInputs, type Core, type CoreInputs, type CoreSizes } from "./core.ts";
