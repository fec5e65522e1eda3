/** @file The loss of a decoder and what its layers with experts add to it, so that no expert is left without tokens. */
import { type numpy as np } from "@jax-js/jax";
import { type Operation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { type Values } from "./assemble-model.ts";
import { type ComputedLoss } from "./decoder-layers.ts";

/** A loss that balances join. */
export interface BalancedLoss {
  /**
   * @param inputs - as {@link ComputedLoss.run}
   * @param balances - scalars
   */
  run(tape: Tape, inputs: Values, balances: readonly Value[]): Promise<Value>;
  dispose(): void;
}

/** Makes it of the loss alone, which is then its own to dispose. */
export function balancedLoss(loss: ComputedLoss): BalancedLoss {
  const sum: Operation<string, "loss"> = stage("loss and balances", ({ loss: first, ...others }) => ({
    loss: Object.values<np.Array>(others).reduce((total, balance) => total.add(balance), first),
  }));
  return {
    async run(tape, inputs, balances) {
      const alone = await loss.run(tape, inputs);
      if (balances.length === 0) return alone;
      return (await tape.run(sum, { loss: alone, ...Object.fromEntries(balances.entries()) })).loss;
    },
    dispose() {
      loss.dispose();
      sum.dispose();
    },
  };
}
