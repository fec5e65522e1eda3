/** @file Weights that lie in memory already, such as those that a program made or a test draws. */
import { DomainError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { type Tensor } from "../base/tensor.ts";
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
  const find = (name: string): Tensor => {
    const found = byName.get(name);
    if (found !== undefined) return found;
    throw new DomainError(
      "weight-unknown",
      `Cannot read a weight of ${source} as it must be one of its ${byName.size} tensors: '${name}'. ` +
        didYouMean(name, [...byName.keys()]),
    );
  };
  return {
    source,
    tensors: new Map([...byName].map(([name, { shape }]) => [name, { shape, dtype: "F32" }])),
    read: (name) => Promise.resolve().then(() => find(name)),
    readQuantised: (name) =>
      Promise.resolve().then(() => {
        find(name);
        return undefined;
      }),
    close: () => Promise.resolve(),
  };
}
