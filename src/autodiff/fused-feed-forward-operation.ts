/** @file A feed-forward block on an engine as an operation of a tape: numbers go from jax-js to the engine and back. */
import { arrayOf, tensorsOf } from "../kernels/jax/tensors.ts";
import {
  type FeedForwardInputs,
  fusedFeedForward,
  fusedFeedForwardBackward,
  type WasmEngine,
} from "../kernels/wasm/index.ts";
import { type Arrays, type Operation } from "./operation.ts";

/**
 * out = down·(silu(gate·x)⊙up·x), or down·gelu(up·x) where there is no gate: inputs `x` [M, width], `up` and `gate`
 * [hidden, width], `down` [width, hidden]; output `out` [M, width].
 *
 * @param engine - what computes it
 */
export function fusedFeedForwardOperation(engine: WasmEngine): Operation<string, "out", FeedForwardInputs> {
  return {
    name: "feed-forward",
    async forward(arrays, wanted) {
      const inputs = await readInputs(arrays);
      const outputs = { out: arrayOf(fusedFeedForward(engine, inputs)) };
      return wanted.size > 0 ? { outputs, state: inputs } : { outputs };
    },
    async backward(_inputs, _saved, { out }, wanted, inputs) {
      const { out: dOut } = await tensorsOf({ out: out!.ref });
      const gradients = Object.entries(fusedFeedForwardBackward(engine, inputs!, dOut));
      return Object.fromEntries(
        gradients.filter(([name]) => wanted.has(name)).map(([name, gradient]) => [name, arrayOf(gradient)]),
      );
    },
    dispose() {
      // The engine is the caller's, and keeps its code.
    },
  };
}

async function readInputs(arrays: Arrays): Promise<FeedForwardInputs> {
  const borrowed = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.ref]));
  return (await tensorsOf(borrowed)) as unknown as FeedForwardInputs;
}
