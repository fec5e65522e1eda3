/** @file What a teacher's layers did with a batch, each with all its heads together, as the distillation of a layer reads it. */
import { type Decoder, type ModelArrays, type TokenBatch } from "../models/index.ts";
import { headsOf } from "../swap/layer-heads.ts";
import { type TaughtLayer } from "./layer-distillation.ts";

/**
 * One pass of the teacher.
 *
 * @param layers - which are wanted, in rising order
 */
export async function taughtLayers(
  teacher: Decoder,
  arrays: ModelArrays,
  { tokens, batch }: Pick<TokenBatch, "tokens" | "batch">,
  layers: readonly number[],
): Promise<readonly TaughtLayer[]> {
  const made = await teacher.headActivations(arrays, tokens, batch, layers);
  return made.map(({ before, groups }) => ({ x: before, ...headsOf({ groups }) }));
}
