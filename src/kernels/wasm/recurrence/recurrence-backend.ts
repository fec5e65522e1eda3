/** @file The WebAssembly kernels as a backend of `recurrence()`. */
import { narrow, type Tensor } from "../../../base/tensor.ts";
import { type RecurrenceBackend } from "../../../recurrence/index.ts";
import { namedGradients } from "../../../recurrence/backend.ts";
import { givenGradients } from "../../../recurrence/check-call.ts";
import { narrowState } from "../../../recurrence/rule.ts";
import { WasmEngine } from "../engine/engine.ts";
import { liftedBackward, liftedForward, wholeBackwardOnEngine, wholeOnEngine } from "./lifted-recurrence.ts";

/**
 * A backend that runs all rules of the recurrent class on fused float32 kernels, in chunks of 64 tokens.
 *
 * @param engine - by default one thread of its own; `openEngine()` has more
 * @returns calls throw UnsupportedError `recurrence-engine` for what the kernels do not compute
 * @example
 * ```ts
 * import { deltanet, recurrence, tensor } from "qklab";
 * import { openEngine, wasmRecurrenceBackend } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const attend = recurrence({ rule: deltanet() }, { backend: wasmRecurrenceBackend(engine) });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out } = await attend({ q, k: q, v: q, beta: tensor([1, 1], [1, 1, 2]) });
 * out.data; // [1, 0, 0, 1]
 * engine.close();
 * ```
 */
export function wasmRecurrenceBackend(engine: WasmEngine = new WasmEngine()): RecurrenceBackend {
  return {
    name: "wasm",
    async forward({ rule }, call) {
      const { out, state } = call.whole
        ? wholeOnEngine(engine, rule, call)
        : liftedForward(engine, rule, call, false);
      return { out, state: narrowState(rule, state) };
    },
    async backward(composition, call, { dOut, dState }) {
      const { rule } = composition;
      const cotangents = { out: dOut, ...(dState === undefined ? {} : { state: dState }) };
      const gradients = call.whole
        ? wholeBackwardOnEngine(engine, rule, call, cotangents)
        : liftedBackward(engine, liftedForward(engine, rule, call, true).saved!, cotangents);
      const { dParameters, ...ofInputs } = namedGradients(
        givenGradients(composition, gradients, call.offset),
      );
      const narrowAll = (tensors: object): Record<string, Tensor> =>
        Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, narrow(tensor)]));
      return { ...narrowAll(ofInputs), dParameters: narrowAll(dParameters) };
    },
  };
}
