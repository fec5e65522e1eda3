/** @file Between tensors of the public surface and arrays of jax-js. */
import { numpy as np } from "@jax-js/jax";
import { type Tensor } from "../../base/tensor.ts";

/** The tensor as an array that the caller owns. */
export function arrayOf({ data, shape }: Tensor): np.Array {
  return np.array(data, { shape: [...shape] });
}

/** Tensors as arrays that the caller owns, by name. */
export function arraysOf(tensors: Readonly<Record<string, Tensor>>): Record<string, np.Array> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, arrayOf(tensor)]));
}

/** The numbers of an array, which is consumed. */
export async function tensorOf(array: np.Array): Promise<Tensor> {
  const shape = [...array.shape];
  return { data: (await array.data()) as Float32Array, shape };
}

/** The numbers of arrays by name; they are consumed. */
export async function tensorsOf(arrays: Readonly<Record<string, np.Array>>): Promise<Record<string, Tensor>> {
  const entries = await Promise.all(
    Object.entries(arrays).map(async ([name, array]) => [name, await tensorOf(array)] as const),
  );
  return Object.fromEntries(entries);
}
