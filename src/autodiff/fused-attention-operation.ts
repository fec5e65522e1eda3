/** @file Attention on the fused kernels as an operation of a tape: numbers go from jax-js to the engine and back. */
import { type numpy as np } from "@jax-js/jax";
import { type AttentionInputs, type Composition, parametersOf, printSelector } from "../attention/index.ts";
import { NumbersError } from "../base/errors.ts";
import { type Parameter } from "../base/parameter.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf, tensorsOf } from "../kernels/jax/tensors.ts";
import { type ForwardState, fusedBackward, fusedForward, type WasmEngine } from "../kernels/wasm/index.ts";
import { type Arrays, type Operation } from "./operation.ts";

/** What the backward call needs of the forward call. */
interface FusedState {
  readonly inputs: AttentionInputs<Tensor>;
  readonly state: ForwardState;
}

/**
 * An attention for a tape, as `attentionOperation` describes it.
 *
 * @param engine - what computes it
 * @param offset - the place of the first query
 */
export function fusedAttentionOperation(
  composition: Composition,
  engine: WasmEngine,
  offset: number,
): Operation<string, "out", FusedState> {
  const parameters = parametersOf(composition);
  const names = parameters.map(({ name }) => name);
  return {
    name: printSelector(composition),
    async forward(arrays, wanted) {
      const inputs = await readInputs(arrays, names, offset);
      requireConvergent(parameters, inputs.parameters ?? {});
      const { out, state } = fusedForward(engine, composition, inputs);
      const outputs = { out: arrayOf(out) };
      return wanted.size > 0 ? { outputs, state: { inputs, state } } : { outputs };
    },
    async backward(_inputs, _saved, { out }, wanted, known) {
      const { inputs, state } = known!;
      const { out: dOut } = await tensorsOf({ out: out!.ref });
      const learned = names.filter((name) => wanted.has(name));
      const { dq, dk, dv, dBias, dParameters } = fusedBackward(engine, composition, inputs, dOut, {
        state,
        learned,
      });
      const gradients: Readonly<Record<string, Tensor | undefined>> = {
        q: dq,
        k: dk,
        v: dv,
        bias: dBias,
        ...dParameters,
      };
      return Object.fromEntries(
        Object.entries(gradients).flatMap(([name, gradient]): [string, np.Array][] =>
          gradient === undefined || !wanted.has(name) ? [] : [[name, arrayOf(gradient)]],
        ),
      );
    },
    dispose() {
      // The engine is the caller's, and keeps its kernels.
    },
  };
}

/** Training keeps parameters in their domain as long as it converges. */
function requireConvergent(parameters: readonly Parameter[], values: Readonly<Record<string, Tensor>>): void {
  for (const { name, domain } of parameters) {
    const wrong = values[name].data.find(
      (value) => !Number.isFinite(value) || (domain === "positive" && value <= 0),
    );
    if (wrong === undefined) continue;
    throw new NumbersError(
      "diverged",
      `Cannot go on training as parameters must stay in their domain: '${name}' is ${wrong}. Use a smaller learning rate`,
    );
  }
}

/** The numbers of a call's arrays, which stay the tape's. */
async function readInputs(
  arrays: Arrays,
  parameterNames: readonly string[],
  offset: number,
): Promise<AttentionInputs<Tensor>> {
  const borrowed = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.ref]));
  const { q, k, v, bias, mask, keyLengths, ...parameters } = await tensorsOf(borrowed);
  return {
    q,
    k,
    v,
    offset,
    ...(bias === undefined ? {} : { bias }),
    ...(mask === undefined ? {} : { mask: { data: Uint8Array.from(mask.data, Number), shape: mask.shape } }),
    ...(keyLengths === undefined ? {} : { keyLengths: [...keyLengths.data] }),
    parameters: Object.fromEntries(parameterNames.map((name) => [name, parameters[name]])),
  };
}
