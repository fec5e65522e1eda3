/** @file All normalisers, by name. */
import { type OptionValue } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { none } from "./none.ts";
import { type Normaliser } from "./normaliser.ts";
import { sigmoid } from "./sigmoid.ts";
import { softmax } from "./softmax.ts";

/** The factories of all normalisers. */
export const normalisers = [softmax, sigmoid, none] as unknown as readonly PartFactory<
  Normaliser,
  Record<string, OptionValue>
>[];

export { none, sigmoid, softmax };
export { type Normaliser, type RowContext, type RowWeights } from "./normaliser.ts";
