/**
 * @file A trained decoder with another attention, on the numbers that it has already: weights are shared, and only what the new
 * attention has of its own is added.
 */
import { type numpy as np } from "@jax-js/jax";
import { type AnyPartFactory } from "../attention/index.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import {
  decoder,
  type Decoder,
  type DecoderConfig,
  type HeadGroup,
  type LayerAttentions,
  type ModelArrays,
} from "../models/index.ts";

/** A trained decoder, ready to be asked. */
export interface TrainedModel {
  readonly model: Decoder;
  /** They stay the caller's. */
  readonly arrays: ModelArrays;
  /** What it was made from, with its own attention. */
  readonly config: DecoderConfig;
  readonly engine?: WasmEngine | undefined;
  /** The caller's own similarities, which selectors may name. */
  readonly similarities?: readonly AnyPartFactory[];
}

/** A trained decoder with another attention. */
export interface SwappedModel {
  readonly model: Decoder;
  readonly arrays: ModelArrays;
  /** Frees what is its own; the weights of the base stay. */
  dispose(): void;
}

/**
 * The base model with other attentions.
 *
 * @param attention - of `swapAttention`
 * @param held - values for parameters that only the new attention has, by their names in the model; the others begin as new
 * @throws as `decoder`
 */
export function openSwap(
  base: TrainedModel,
  attention: LayerAttentions,
  held: Readonly<Record<string, Tensor>> = {},
  seed = 0,
): SwappedModel {
  const { engine, similarities } = base;
  const model = decoder(
    { ...base.config, attention },
    { engine, ...(similarities === undefined ? {} : { similarities }) },
  );
  const owned: Record<string, np.Array> = {};
  const arrays = Object.fromEntries(
    model.parameters.map((parameter) => {
      const { name, initial } = parameter;
      if (held[name] === undefined && isInherited(base, model, name)) return [name, base.arrays[name]];
      owned[name] = arrayOf(held[name] ?? initial(seed));
      return [name, owned[name]];
    }),
  );
  return {
    model,
    arrays,
    dispose() {
      for (const array of Object.values(owned)) array.dispose();
      model.dispose();
    },
  };
}

/** Parameters of an attention go on only where the attention does: a β of another one has the same name. */
function isInherited({ model: base, arrays }: TrainedModel, swapped: Decoder, name: string): boolean {
  if (arrays[name] === undefined) return false;
  const [, layer, own] = /^model\.layers\.(\d+)\.self_attn\.(.+)$/.exec(name) ?? [];
  if (layer === undefined || /^[qkvo]_proj\.|^[qk]_norm\./.test(own)) return true;
  return (
    writtenHeads(base.config.groups[Number(layer)]) === writtenHeads(swapped.config.groups[Number(layer)])
  );
}

/** The attentions of a layer's heads as a text: alike where they are. */
export function writtenHeads(groups: readonly HeadGroup[]): string {
  return JSON.stringify(groups.map(({ selector, heads }) => [selector, heads]));
}
