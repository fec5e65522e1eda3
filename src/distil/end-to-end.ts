/**
 * @file The swapped model as a whole learns to predict the next token by low-rank changes of its projections, W + α/r·B·A (Hu et al.
 * 2021, LoRA), and by its attentions' own parameters; all other weights are as they were.
 */
import { numpy as np } from "@jax-js/jax";
import { stage, type Tape, type Value } from "../autodiff/index.ts";
import { factorNames } from "../language/adapter-format.ts";
import { type Decoder, type ModelArrays, type ModelParameter, type TokenBatch } from "../models/index.ts";
import { type LowRank } from "./mixing-layer.ts";

/** The tuning of a model. */
export interface EndToEnd {
  /**
   * The mean loss of the labels, on the tape.
   *
   * @param trained - by name; factors by `factorNames`
   * @param frozen - the model's other arrays
   */
  loss(tape: Tape, trained: ModelArrays, frozen: ModelArrays, batch: TokenBatch): Promise<Value>;
  dispose(): void;
}

/**
 * Makes it.
 *
 * @param changed - the weights that have factors
 */
export function endToEnd(
  model: Decoder,
  changed: readonly ModelParameter[],
  { rank, alpha }: LowRank,
): EndToEnd {
  const scale = alpha / Math.max(1, rank);
  const merge = stage("low-rank change", ({ weight, a, b }: ModelArrays) => ({
    merged: weight.add(np.matmul(b, a).mul(scale)),
  }));
  return {
    async loss(tape, trained, frozen, batch) {
      const values: Record<string, Value> = {};
      for (const [name, array] of Object.entries(frozen)) values[name] = tape.constant(array.ref);
      for (const [name, array] of Object.entries(trained)) values[name] = tape.parameter(name, array);
      for (const { name } of changed) {
        const names = factorNames(name);
        const factors = { weight: values[name], a: values[names.a], b: values[names.b] };
        values[name] = (await tape.run(merge, factors)).merged;
      }
      const own = Object.fromEntries(model.parameters.map(({ name }) => [name, values[name]]));
      return model.loss(tape, own, batch);
    },
    dispose: () => merge.dispose(),
  };
}
