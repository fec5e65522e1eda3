/** @file Pairs that a selection chooses by the vectors of a head, as a mask that a compiled function reads. */
import { DType, numpy as np } from "@jax-js/jax";
import { type AttentionInputs, checkInputs, type Composition, parametersOf } from "../../attention/index.ts";
import { maskedCall } from "../../attention/chosen-pairs.ts";
import { type MaskTensor } from "../../attention/inputs.ts";
import { type Tensor } from "../../base/tensor.ts";
import { tensorsOf } from "./tensors.ts";

/** A mask as an array of jax-js. */
export function maskArray({ data, shape }: MaskTensor): np.Array {
  return np.array(Int32Array.from(data), { shape: [...shape], dtype: DType.Bool });
}

/**
 * The mask of the pairs that the selection of an attention chooses, [B, H, Q, S]; undefined where scores alone decide.
 *
 * @param arrays - `q`, `k`, `v`, every parameter under its name, and `mask` and `keyLengths` where there are some; they stay the
 *   caller's
 * @param offset - the place of the first query
 */
export async function choiceMask(
  composition: Composition,
  arrays: Readonly<Record<string, np.Array>>,
  offset = 0,
): Promise<np.Array | undefined> {
  if (composition.selection.choose === undefined) return undefined;
  const names = ["q", "k", "v", "mask", "keyLengths", ...parametersOf(composition).map(({ name }) => name)];
  const read = await tensorsOf(
    Object.fromEntries(names.filter((name) => name in arrays).map((name) => [name, arrays[name].ref])),
  );
  const { q, k, v, mask, keyLengths, ...parameters } = read;
  const inputs: AttentionInputs<Tensor> = {
    q,
    k,
    v,
    offset,
    parameters,
    ...(mask === undefined ? {} : { mask: { data: Uint8Array.from(mask.data, Number), shape: mask.shape } }),
    ...(keyLengths === undefined ? {} : { keyLengths: [...keyLengths.data] }),
  };
  return maskArray(maskedCall(composition, inputs, checkInputs(inputs)).inputs.mask!);
}
