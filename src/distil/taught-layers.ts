/** @file What a teacher's layers did with a batch, each with all its heads together, as the distillation of a layer reads it. */
import { type Decoder, type ModelArrays, type TokenBatch } from "../models/index.ts";
import { headsOf } from "../swap/layer-heads.ts";
import { type TaughtLayer } from "./layer-distillation.ts";

/**
 * One pass of the teacher.
 *
 * @param layers - which are wanted
 */
export async function taughtLayers(
  teacher: Decoder,
  arrays: ModelArrays,
  { tokens, batch }: Pick<TokenBatch, "tokens" | "batch">,
  layers: readonly number[],
): Promise<readonly TaughtLayer[]> {
  const { embedded, layers: made } = await teacher.activations(arrays, tokens, batch, Math.max(...layers));
  return layers.map((layer) => {
    return { x: layer === 0 ? embedded : made[layer - 1].fed, ...headsOf(made[layer]) };
  });
}
