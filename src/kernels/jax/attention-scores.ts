/** @file The scores and weights of an attention on given arrays: for calibration and for measurements. */
import { jit, type numpy as np } from "@jax-js/jax";
import { type Composition, parametersOf } from "../../attention/index.ts";
import { openComposition } from "../../attention/chosen-pairs.ts";
import { type Tensor } from "../../base/tensor.ts";
import { choiceMask } from "./choice-mask.ts";
import { composedAttention } from "./composition.ts";
import { type ComposedInputs } from "./evaluation.ts";
import { tensorOf } from "./tensors.ts";

/**
 * Scores (−∞ where a pair does not take part) and weights, both [B, H, Q, S].
 *
 * @param composition - a complete attention
 * @param arrays - `q`, `k`, `v` and every parameter under its name; they stay the caller's
 */
export async function attentionScores(
  composition: Composition,
  arrays: Readonly<Record<string, np.Array>>,
): Promise<{ readonly scores: Tensor; readonly weights: Tensor }> {
  const mask = await choiceMask(composition, arrays);
  const open = mask === undefined ? composition : openComposition(composition);
  const compute = jit((inputs: ComposedInputs) => {
    const attend = composedAttention(open, { extras: ["scores", "weights"], gradient: false });
    const { scores, weights } = attend(inputs);
    return { scores, weights } as { scores: np.Array; weights: np.Array };
  });
  const parameters = parametersOf(composition).map(({ name }) => [name, arrays[name].ref] as const);
  const { scores, weights } = compute({
    q: arrays["q"].ref,
    k: arrays["k"].ref,
    v: arrays["v"].ref,
    ...(mask === undefined ? {} : { mask }),
    parameters: Object.fromEntries(parameters),
  });
  try {
    return { scores: await tensorOf(scores), weights: await tensorOf(weights) };
  } finally {
    compute.dispose();
  }
}
