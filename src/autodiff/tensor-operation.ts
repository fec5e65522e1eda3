/** @file Operations on plain numbers, which engines compute: the tape hands them tensors, everybody else arrays of jax-js. */
import { type Tensor } from "../base/tensor.ts";
import { arrayOf, tensorsOf } from "../kernels/jax/tensors.ts";
import { type Arrays, type Operation, type TensorForm, type Tensors } from "./operation.ts";

/**
 * An operation from its form on plain numbers.
 *
 * @param name - for errors
 */
export function tensorOperation<In extends string, Out extends string, State>(
  name: string,
  form: TensorForm<In, Out, State>,
): Operation<In, Out, State> {
  return {
    name,
    tensors: form,
    async forward(inputs, wanted) {
      const { outputs, state } = form.forward(await numbersOf(inputs), wanted);
      const named = { outputs: arraysOf(outputs) };
      if (state === undefined) return named;
      if (form.free === undefined) return { ...named, state };
      // Here nobody would free it.
      form.free(state);
      return named;
    },
    async backward(inputs, _saved, gradients, wanted, state) {
      const ofOutputs = await numbersOf(gradients as Arrays<Out>);
      return arraysOf(form.backward(await numbersOf(inputs), ofOutputs, wanted, state) as Tensors<In>);
    },
    dispose() {
      // The engine is the caller's, and keeps its code.
    },
  };
}

/** The numbers of arrays, which stay their owner's. */
async function numbersOf<Names extends string>(arrays: Arrays<Names>): Promise<Tensors<Names>> {
  const borrowed = Object.entries<Arrays[string]>(arrays).map(([name, array]) => [name, array.ref] as const);
  return (await tensorsOf(Object.fromEntries(borrowed))) as Tensors<Names>;
}

function arraysOf<Names extends string>(tensors: Tensors<Names>): Arrays<Names> {
  const entries = Object.entries<Tensors[string]>(tensors).map(([name, tensor]) => [name, arrayOf(tensor)]);
  return Object.fromEntries(entries) as Arrays<Names>;
}

/** Those gradients that are asked for. */
export function onlyWanted(
  gradients: Readonly<Record<string, Tensor | undefined>>,
  wanted: ReadonlySet<string>,
): Tensors {
  const entries = Object.entries(gradients).filter(
    (entry): entry is [string, Tensor] => entry[1] !== undefined && wanted.has(entry[0]),
  );
  return Object.fromEntries(entries);
}
