/** @file Attention on the fused kernels as an operation of a tape. */
import { type AttentionInputs, type Composition, parametersOf, printSelector } from "../attention/index.ts";
import { NumbersError } from "../base/errors.ts";
import { type Parameter } from "../base/parameter.ts";
import { type Tensor } from "../base/tensor.ts";
import { fusedBackward, fusedForward, type WasmEngine } from "../kernels/wasm/index.ts";
import { type Operation, type Tensors } from "./operation.ts";
import { onlyWanted, tensorOperation } from "./tensor-operation.ts";

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
): Operation<string, "out"> {
  const parameters = parametersOf(composition);
  const names = parameters.map(({ name }) => name);
  return tensorOperation(printSelector(composition), {
    forward(tensors, wanted) {
      const inputs = inputsOf(tensors, names, offset);
      requireConvergent(parameters, inputs.parameters ?? {});
      const { out, state } = fusedForward(engine, composition, inputs);
      return wanted.size > 0 ? { outputs: { out }, state } : { outputs: { out } };
    },
    backward(tensors, { out }, wanted, state) {
      const learned = names.filter((name) => wanted.has(name));
      const inputs = inputsOf(tensors, names, offset);
      const { dq, dk, dv, dBias, dParameters } = fusedBackward(engine, composition, inputs, out!, {
        state: state!,
        learned,
      });
      return onlyWanted({ q: dq, k: dk, v: dv, bias: dBias, ...dParameters }, wanted);
    },
  });
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

function inputsOf(
  { q, k, v, bias, mask, keyLengths, ...parameters }: Tensors,
  parameterNames: readonly string[],
  offset: number,
): AttentionInputs<Tensor> {
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
