/**
 * @file The attentions of a served model. Their weights are computed by the staged form of the model, as texts keep no weights; it is loaded
 * when it is first asked for, and stays.
 */
import { arraysOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { type LoadedModel } from "../language/index.ts";
import {
  type ComposedGroup,
  type Decoder,
  type DecoderConfig,
  decoder,
  type ModelArrays,
} from "../models/index.ts";
import { runLayer } from "../swap/layer-divergence.ts";
import { type ModelAttentions } from "./served-model.ts";

/** A model's attentions, until they are disposed. */
export interface LoadedAttentions extends ModelAttentions {
  dispose(): Promise<void>;
}

/**
 * The attentions of a model.
 *
 * @param config - with the attentions that are served
 * @param load - reads the model's numbers
 */
export function modelAttentions(
  config: DecoderConfig,
  load: () => Promise<LoadedModel<Decoder>>,
  engine: WasmEngine | undefined,
): LoadedAttentions {
  const shape = decoder(config);
  const selectors = shape.config.groups.map((groups) => groups.flatMap(selectorsOf));
  shape.dispose();
  let staged: Promise<{ readonly model: Decoder; readonly arrays: ModelArrays }> | undefined;
  const open = async () => {
    const { model, tensors } = await load();
    return { model, arrays: arraysOf(tensors) };
  };
  const opened = (): ReturnType<typeof open> => {
    // A load that failed is tried again.
    staged ??= open().catch((error: unknown) => {
      staged = undefined;
      throw error;
    });
    return staged;
  };
  return {
    selectors,
    async prepare() {
      await opened();
    },
    async weights(tokens, layer) {
      const { model, arrays } = await opened();
      const [given] = await model.headActivations(arrays, tokens, 1, [layer]);
      const base = { model, arrays, config, engine };
      const heads = await runLayer({ model, arrays }, base, given, layer);
      return heads.map((head) => head?.weights?.data);
    },
    async dispose() {
      if (staged === undefined) return;
      const { model, arrays } = await staged;
      for (const array of Object.values(arrays)) array.dispose();
      model.dispose();
    },
  };
}

function selectorsOf({ selector, heads }: ComposedGroup): string[] {
  return Array.from({ length: heads }, () => selector);
}
