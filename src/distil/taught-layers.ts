/** @file What a teacher's layers did with a batch, each with all its heads together, as the distillation of a layer reads it. */
import { type Tensor } from "../base/tensor.ts";
import { type Decoder, type ModelArrays, type TokenBatch } from "../models/index.ts";
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
    const { groups } = made[layer];
    const all = (side: "q" | "k" | "v" | "out"): Tensor => joinedHeads(groups.map((group) => group[side]));
    return {
      x: layer === 0 ? embedded : made[layer - 1].fed,
      q: all("q"),
      k: all("k"),
      v: all("v"),
      out: all("out"),
    };
  });
}

/** Heads of groups, [B, Hᵢ, N, D], one after the other. */
function joinedHeads(groups: readonly Tensor[]): Tensor {
  const [first] = groups;
  if (groups.length === 1) return first;
  const [batch, , length, width] = first.shape;
  const heads = groups.reduce((sum, { shape }) => sum + shape[1], 0);
  const data = new Float32Array(batch * heads * length * width);
  let at = 0;
  for (let sequence = 0; sequence < batch; sequence++) {
    for (const { data: own, shape } of groups) {
      const size = shape[1] * length * width;
      data.set(own.subarray(sequence * size, (sequence + 1) * size), at);
      at += size;
    }
  }
  return { data, shape: [batch, heads, length, width] };
}
