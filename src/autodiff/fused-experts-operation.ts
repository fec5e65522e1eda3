/** @file Experts on an engine as an operation of a tape: numbers go from jax-js to the engine and back. */
import { arrayOf, tensorsOf } from "../kernels/jax/tensors.ts";
import {
  type ExpertInputs,
  type ExpertPlaces,
  type ExpertState,
  fusedExperts,
  fusedExpertsBackward,
  type WasmEngine,
} from "../kernels/wasm/index.ts";
import { type Arrays, type Operation } from "./operation.ts";

/** What the backward call needs of the forward call. */
interface FusedState {
  readonly inputs: ExpertInputs;
  readonly places: ExpertPlaces;
  readonly state: ExpertState;
}

/**
 * out_m = Σ_j g_mj·expert_j(x_m): inputs `x` [M, width], `gates`, `chosen` and `places` [M, k] of a `routingOperation`, `up`
 * and, for SwiGLU, `gate` [E, hidden, width], `down` [E, width, hidden]; output `out` [M, width].
 *
 * @param engine - what computes it
 */
export function fusedExpertsOperation(engine: WasmEngine): Operation<string, "out", FusedState> {
  return {
    name: "experts",
    async forward(arrays, wanted) {
      const { inputs, places } = await readInputs(arrays);
      const hasBackward = wanted.size > 0;
      const { out, state } = fusedExperts(engine, inputs, places, { hasBackward });
      const outputs = { out: arrayOf(out) };
      return state === undefined ? { outputs } : { outputs, state: { inputs, places, state } };
    },
    async backward(_inputs, _saved, { out }, wanted, known) {
      const { inputs, places, state } = known!;
      const { out: dOut } = await tensorsOf({ out: out!.ref });
      const gradients = Object.entries(fusedExpertsBackward(engine, inputs, places, dOut, state));
      return Object.fromEntries(
        gradients.filter(([name]) => wanted.has(name)).map(([name, gradient]) => [name, arrayOf(gradient)]),
      );
    },
    dispose() {
      // The engine is the caller's, and keeps its code.
    },
  };
}

async function readInputs(
  arrays: Arrays,
): Promise<{ readonly inputs: ExpertInputs; readonly places: ExpertPlaces }> {
  const borrowed = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.ref]));
  const { chosen, places, ...inputs } = await tensorsOf(borrowed);
  return {
    inputs: inputs as unknown as ExpertInputs,
    places: {
      experts: inputs["up"].shape[0],
      choices: chosen.shape[1],
      chosen: Int32Array.from(chosen.data),
      places: Int32Array.from(places.data),
    },
  };
}
