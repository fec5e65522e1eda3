/** @file The core of the recurrent class on the fused kernels as an operation of a tape. */
import { type numpy as np } from "@jax-js/jax";
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { arrayOf, tensorsOf } from "../kernels/jax/tensors.ts";
import {
  fusedRecurrence,
  fusedRecurrenceBackward,
  type RecurrenceSaved,
  type WasmEngine,
} from "../kernels/wasm/index.ts";
import { type Core, type CoreInputs } from "../recurrence/index.ts";
import { type Arrays, type Operation } from "./operation.ts";

/** What the backward call needs of the forward call. */
interface FusedState {
  readonly inputs: CoreInputs<Tensor>;
  readonly saved: RecurrenceSaved;
  readonly outShape: readonly number[];
}

/**
 * The core for a tape: inputs by the names of `CoreInputs` (`q`, `k`, `v` and what the terms need, `state` where it does
 * not begin at zero), outputs `out` [B, H, N, E] and the last `state`.
 *
 * @param core - the terms of the update
 * @param engine - what computes it
 */
export function fusedRecurrenceOperation(
  core: Core,
  engine: WasmEngine,
): Operation<string, "out" | "state", FusedState> {
  return {
    name: "recurrence",
    async forward(arrays, wanted) {
      const inputs = await readInputs(arrays);
      const { out, state, saved } = fusedRecurrence(engine, core, inputs, { saves: wanted.size > 0 });
      const outputs = { out: arrayOf(out), state: arrayOf(state) };
      return saved === undefined ? { outputs } : { outputs, state: { inputs, saved, outShape: out.shape } };
    },
    async backward(_inputs, _saved, given, wanted, known) {
      const { inputs, saved, outShape } = known!;
      const cotangents = await tensorsOf(
        Object.fromEntries(Object.entries(given).map(([name, array]) => [name, array.ref])),
      );
      // Where only the state was used, nothing comes back through the outputs.
      const out = cotangents["out"] ?? { data: new Float32Array(sizeOf(outShape)), shape: outShape };
      const gradients = fusedRecurrenceBackward(engine, core, inputs, { ...cotangents, out }, saved);
      return Object.fromEntries(
        Object.entries(gradients).flatMap(([name, gradient]): [string, np.Array][] =>
          wanted.has(name) ? [[name, arrayOf(gradient as Tensor)]] : [],
        ),
      );
    },
    dispose() {
      // The engine is the caller's, and keeps its code.
    },
  };
}

async function readInputs(arrays: Arrays): Promise<CoreInputs<Tensor>> {
  const borrowed = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.ref]));
  return (await tensorsOf(borrowed)) as unknown as CoreInputs<Tensor>;
}
