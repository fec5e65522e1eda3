/** @file The WebAssembly kernels as a backend of `attention()`. */
import { type AttentionBackend, type Composition } from "../../../attention/index.ts";
import { WasmEngine } from "../engine/engine.ts";
import { type ForwardState, fusedBackward, fusedForward } from "./fused-attention.ts";

/**
 * A backend that runs fused float32 kernels on an engine.
 *
 * @param engine - by default one thread of its own; `nodeEngine()` has more
 */
export function wasmBackend(engine: WasmEngine = new WasmEngine()): AttentionBackend {
  // A backward call gets the output that its forward call returned: by it the forward's state is found again.
  const states = new WeakMap<
    Float32Array,
    { readonly state: ForwardState; readonly composition: Composition }
  >();
  return {
    name: "wasm",
    async forward(composition, inputs, extras) {
      const { state, ...result } = fusedForward(engine, composition, inputs, extras);
      states.set(result.out.data, { state, composition });
      return result;
    },
    async backward(composition, inputs, { out }, dOut) {
      const found = out === undefined ? undefined : states.get(out.data);
      const state = found?.composition === composition ? found.state : undefined;
      return fusedBackward(engine, composition, inputs, dOut, state === undefined ? {} : { state });
    },
  };
}
