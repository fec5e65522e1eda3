/**
 * @file The weights of nano-sort, the GPT of llm-viz that sorts letters, from its JSON: base64 of float32 by name. The names are those of
 * GPT-2, but minGPT keeps its matrices as Linear does, [out, in], where the files of GPT-2 have Conv1D's [in, out].
 */
import { readFile } from "node:fs/promises";
import type { Tensor } from "../src/base/index.ts";
import type { WeightSource } from "../src/checkpoints/index.ts";
import { findWeight } from "../src/checkpoints/weight-names.ts";

/** The sizes of the model, in minGPT's words. */
export interface NanoSortConfig {
  readonly n_layer: number;
  readonly n_head: number;
  readonly n_embd: number;
  readonly vocab_size: number;
  readonly block_size: number;
}

interface StoredTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: string;
}

/** Reads `gpt-nano-sort-model.json`. Masks, which are no weights, are left out. */
export async function readNanoSort(
  path: string,
): Promise<WeightSource & { readonly config: NanoSortConfig }> {
  const { config, ...stored } = JSON.parse(await readFile(path, "utf8")) as {
    readonly config: NanoSortConfig;
  } & Record<string, StoredTensor>;
  const tensors = new Map(
    Object.entries(stored as Record<string, StoredTensor>).filter(([name]) => !name.endsWith(".attn.bias")),
  );
  return {
    source: path,
    config,
    tensors,
    read: async (name) => decode(findWeight(tensors, name, path)),
    readQuantised: async (name) => {
      findWeight(tensors, name, path);
      return undefined;
    },
    close: async () => undefined,
  };
}

function decode({ shape, data }: StoredTensor): Tensor {
  return { shape, data: new Float32Array(Uint8Array.from(Buffer.from(data, "base64")).buffer) };
}
