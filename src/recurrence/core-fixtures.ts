/** @file Random calls of the core, for tests. */
import { random } from "../base/random.ts";
import { type Tensor64, tensor64 } from "../base/tensor.ts";
import { type Core, type CoreInputs } from "./core.ts";

/** Extents of a random call. */
export interface FixtureSizes {
  readonly batch?: number;
  readonly heads?: number;
  /** G; H when absent. */
  readonly keyHeads?: number;
  readonly tokens: number;
  readonly width?: number;
  readonly valueWidth?: number;
}

/** Every core that a member has, and combinations that none has. */
export const cores: Readonly<Record<string, Core>> = Object.fromEntries(
  (["none", "head", "channel"] as const).flatMap((decay) =>
    [false, true].flatMap((correction) =>
      (["after", "bonus"] as const).flatMap((read) =>
        [false, true].map((normalised) => [
          [decay, correction ? "correction" : "sum", read, normalised ? "normalised" : "raw"].join(" "),
          { decay, correction, read, normalised, epsilon: normalised ? 1e-6 : 0 },
        ]),
      ),
    ),
  ),
);

/**
 * A call with everything the core asks for, the first state too. Keys of corrections have length 1 and strength within
 * (0, 1), as in the delta rules, so that states stay bounded; where sums are divided, queries, keys and the state's sums
 * are positive and corrections weak, so that no denominator comes near zero.
 */
export function randomCall(core: Core, seed: number | string, sizes: FixtureSizes): CoreInputs<Tensor64> {
  const { batch = 1, heads = 1, tokens, width = 3, valueWidth = 2, keyHeads = heads } = sizes;
  const stream = random("core-fixtures", seed);
  const draw = (shape: readonly number[], value: () => number = () => stream.normal()): Tensor64 => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return tensor64(Float64Array.from({ length: size }, value), shape);
  };
  const own = core.normalised ? () => 0.5 + stream.uniform() : () => stream.normal();
  const keys = [batch, keyHeads, tokens, width];
  const decays = core.decay === "channel" ? keys : keys.slice(0, 3);
  const directions = draw(keys);
  for (let row = 0; row < directions.data.length; row += width) {
    const vector = directions.data.subarray(row, row + width);
    const norm = Math.hypot(...vector) || 1;
    for (let d = 0; d < width; d++) vector[d] = core.normalised ? (0.1 * vector[d]) / norm : vector[d] / norm;
  }
  return {
    q: draw([batch, heads, tokens, width], own),
    k: draw(keys, own),
    v: draw([batch, keyHeads, tokens, valueWidth]),
    ...(core.decay === "none"
      ? {}
      : { logDecay: draw(decays, () => Math.log(0.02 + 0.97 * stream.uniform())) }),
    ...(core.correction
      ? {
          a: tensor64(
            directions.data.map((value) => -value * (core.normalised ? 0.1 : 0.6)),
            keys,
          ),
          b: directions,
        }
      : {}),
    ...(core.read === "bonus" ? { u: draw([heads, width], own) } : {}),
    state: draw([batch, heads, width, valueWidth + (core.normalised ? 1 : 0)], own),
  };
}
