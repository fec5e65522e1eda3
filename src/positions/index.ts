/** @file All positions, by name. */
import { type OptionValue } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { alibi } from "./alibi.ts";
import { learned, sinusoidal } from "./embeddings.ts";
import { logCpb } from "./log-cpb.ts";
import { nope } from "./nope.ts";
import { type Position } from "./position.ts";
import { rope } from "./rope.ts";

/** The factories of all positions. */
export const positions = [nope, learned, sinusoidal, rope, alibi, logCpb] as unknown as readonly PartFactory<
  Position,
  Record<string, OptionValue>
>[];

export { alibi, learned, logCpb, nope, rope, sinusoidal };
export { logSpacedDistance } from "./log-cpb.ts";
export {
  type BiasPosition,
  type EmbeddingPosition,
  type NoPosition,
  type ParameterValues,
  type Position,
  type RotaryPosition,
} from "./position.ts";
export { rotaryTable, type RotaryTable } from "./rope.ts";
