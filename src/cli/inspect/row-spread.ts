/** @file The spread of an attention's scores before training, and the temperature that brings it to one. */
import {
  calibratedParameters,
  type Composition,
  initialParameters,
  referenceForward,
  rowSpread,
  similarityAlone,
} from "../../attention/index.ts";
import { random, type Tensor, tensor } from "../../base/index.ts";
import { full } from "../../patterns/index.ts";

/** Means over heads. */
export interface MeasuredSpread {
  /** N, queries and keys that it was measured on. */
  readonly places: number;
  /** Mean standard deviation of a row of scores. */
  readonly rowSpread: number;
  /** Values of the temperature's parameters at which the spread is 1; empty where there is no temperature. */
  readonly calibrated: Readonly<Record<string, number>>;
}

const places = 64;

/** Measured on standard normal queries and keys, every pair allowed. */
export function measureSpread(
  composition: Composition,
  { width, heads }: { readonly width: number; readonly heads: number },
): MeasuredSpread {
  const alone: Composition = { ...similarityAlone(composition), patterns: [full()] };
  const draw = (name: string): Tensor =>
    tensor(random("inspect", name).normals(heads * places * width), [1, heads, places, width]);
  const { scores } = referenceForward(alone, { q: draw("q"), k: draw("k"), v: draw("v") });
  const spread = rowSpread(scores);
  const current = initialParameters(alone, { width, heads });
  const calibrated =
    composition.similarity.temperature === undefined ? {} : calibratedParameters(alone, current, spread);
  return {
    places,
    rowSpread: mean(spread),
    calibrated: Object.fromEntries(Object.entries(calibrated).map(([name, { data }]) => [name, mean(data)])),
  };
}

function mean(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
