/** @file All aggregations, by name. */
import { type OptionValue } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { type Aggregation } from "./aggregation.ts";
import { centroid } from "./centroid.ts";
import { maxplus } from "./maxplus.ts";
import { mean } from "./mean.ts";

/** The factories of all aggregations. */
export const aggregations = [mean, centroid, maxplus] as unknown as readonly PartFactory<
  Aggregation,
  Record<string, OptionValue>
>[];

export { centroid, maxplus, mean };
export { type Aggregation, type AggregationContext } from "./aggregation.ts";
