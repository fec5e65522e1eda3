/** @file Errors, tensors, options, parameters and seeded random numbers. */
export { DomainError, MissingError, NumbersError, ShapeError, UnsupportedError } from "./errors.ts";
export { nearestNames } from "./nearest-names.ts";
export { type OptionRule, type Options, type OptionValue } from "./options.ts";
export { headParameter, type Parameter, type ParameterRule, positive, real } from "./parameter.ts";
export { type Part, type PartDefinition, type PartFactory, type PartKind, printPart } from "./part.ts";
export { random, type Random } from "./random.ts";
export {
  requireFinite,
  sizeOf,
  type Tensor,
  type Tensor64,
  tensor,
  tensor64,
  widen,
  narrow,
  zeros64,
} from "./tensor.ts";
