/** @file Weights that lie in memory already, such as those that a program made or a test draws. */
import { type Tensor } from "../base/tensor.ts";
import { findWeight } from "./weight-names.ts";
import { type WeightSource } from "./weight-source.ts";

/**
 * Tensors by name as a source of weights.
 *
 * @param tensors - they stay the caller's; what is read are the same numbers, not a copy
 * @param source - what they are called in messages
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { memoryWeights } from "qklab/checkpoints";
 * const weights = memoryWeights({ "lm_head.weight": tensor([1, 0, 0, 1], [2, 2]) });
 * (await weights.read("lm_head.weight")).shape; // [2, 2]
 * ```
 */
export function memoryWeights(tensors: Readonly<Record<string, Tensor>>, source = "memory"): WeightSource {
  const byName = new Map(Object.entries(tensors));
  return {
    source,
    tensors: new Map([...byName].map(([name, { shape }]) => [name, { shape, dtype: "F32" }])),
    read: (name) => Promise.resolve().then(() => findWeight(byName, name, source)),
    readQuantised: (name) =>
      Promise.resolve().then(() => {
        findWeight(byName, name, source);
        return undefined;
      }),
    close: () => Promise.resolve(),
  };
}
