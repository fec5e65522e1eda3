/**
 * @file What an adapter changes in a trained decoder, layer by layer: which layers, and what one of them makes of the stream that the
 * unchanged layers before it give it.
 */
import { type Tensor } from "../base/tensor.ts";
import { decoder, type LayerActivations, type LayerAttentions } from "../models/index.ts";
import { openSwap, type TrainedModel, writtenHeads } from "./swapped-model.ts";

/** An adapter, read for a model. */
export interface AdapterParts {
  /** Of every layer. */
  readonly attention: LayerAttentions;
  /** What differs from the model's own weights, by parameter names. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

const placeOf = (layer: number): string => `model.layers.${layer}.`;

/**
 * The layers that an adapter changes: by another attention, or by other weights.
 *
 * @throws as `decoder`, for attentions that do not fit the model
 */
export function changedLayers(
  { config, similarities = [] }: Pick<TrainedModel, "config" | "similarities">,
  { attention, tensors }: AdapterParts,
): readonly number[] {
  const [own, adapted] = [config, { ...config, attention }].map((from) => {
    const made = decoder(from, { similarities });
    made.dispose();
    return made.config.groups.map(writtenHeads);
  });
  return own.flatMap((written, layer) => {
    const hasOther = written !== adapted[layer];
    return hasOther || Object.keys(tensors).some((name) => name.startsWith(placeOf(layer))) ? [layer] : [];
  });
}

/** What one layer of an adapter makes of tokens when all other layers are the base's. */
export async function layerOnBase(
  base: TrainedModel,
  { attention, tensors }: AdapterParts,
  layer: number,
  { tokens, seed }: { readonly tokens: Int32Array; readonly seed: number },
): Promise<LayerActivations> {
  const ofLayer = typeof attention === "string" ? attention : attention[layer];
  const alone = base.model.config.groups.map((own, place) =>
    place === layer ? ofLayer : own.map(({ selector, heads }) => ({ selector, heads })),
  );
  const held = Object.entries(tensors).filter(([name]) => name.startsWith(placeOf(layer)));
  const hybrid = openSwap(base, alone, Object.fromEntries(held), seed);
  try {
    const { layers } = await hybrid.model.activations(hybrid.arrays, tokens, 1);
    return layers[layer];
  } finally {
    hybrid.dispose();
  }
}
