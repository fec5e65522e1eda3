/** @file The gradient of a value on its way back: an array of jax-js or plain numbers, by what computed it. */
import { type numpy as np } from "@jax-js/jax";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf, tensorOf } from "../kernels/jax/tensors.ts";
import { isTensor } from "./value.ts";

export type Gradient = np.Array | Tensor;

/** The gradient for jax-js; an array stays what it is. */
export function arrayGradient(gradient: Gradient): np.Array {
  return isTensor(gradient) ? arrayOf(gradient) : gradient;
}

/** The numbers of a gradient, which stays its owner's. */
export async function tensorGradient(gradient: Gradient): Promise<Tensor> {
  return isTensor(gradient) ? gradient : tensorOf(gradient.ref);
}

/** The sum of two gradients; arrays are consumed. */
export function addGradients(one: Gradient, other: Gradient): Gradient {
  if (!isTensor(one) || !isTensor(other)) return arrayGradient(one).add(arrayGradient(other));
  const [left, right] = [one.data, other.data];
  const sum = new Float32Array(left.length);
  for (let place = 0; place < sum.length; place++) sum[place] = left[place] + right[place];
  return { data: sum, shape: one.shape };
}

/** Frees what jax-js holds. */
export function disposeGradient(gradient: Gradient): void {
  if (!isTensor(gradient)) gradient.dispose();
}
