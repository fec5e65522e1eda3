/** @file Trained models of other projects for tests: what they are made of, and what they say. */
import { type Tensor } from "../base/tensor.ts";
import { type WeightSource } from "../checkpoints/index.ts";
import { type Decoder, type ModelArrays } from "../models/index.ts";

/** A tensor of PyTorch in JSON. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: string;
}

/** Its numbers, which are f32. */
export function readTensor({ shape, data }: StoredTensor): Tensor {
  return { data: new Float32Array(new Uint8Array(Buffer.from(data, "base64")).buffer), shape };
}

/** What minGPT says of a model. */
interface MinGptConfig {
  readonly n_layer: number;
  readonly n_head: number;
  readonly n_embd: number;
  readonly vocab_size: number;
  readonly block_size: number;
}

/** A model of minGPT as one of GPT-2's layout, whose matrices are stored as [in, out]. */
export function asGpt2({ config, ...weights }: WeightSource & { readonly config: MinGptConfig }): {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: WeightSource;
} {
  const isTurned = (name: string): boolean => /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
  const { block_size: length, vocab_size, n_embd, n_layer, n_head } = config;
  return {
    config: {
      model_type: "gpt2",
      vocab_size,
      n_positions: length,
      n_embd,
      n_layer,
      n_head,
      tie_word_embeddings: false,
    },
    weights: {
      ...weights,
      tensors: new Map(
        [...weights.tensors].map(([name, { shape, dtype }]) => [
          name,
          { shape: isTurned(name) ? shape.toReversed() : shape, dtype },
        ]),
      ),
      read: async (name) => {
        const tensor = await weights.read(name);
        return isTurned(name) ? transposed(tensor) : tensor;
      },
    },
  };
}

function transposed({ data, shape: [rows, columns] }: Tensor): Tensor {
  const turned = data.map((_, at) => data[(at % rows) * columns + Math.floor(at / rows)]);
  return { data: turned, shape: [columns, rows] };
}

/** The likeliest token of every row of logits [..., V]. */
export function likeliestOf({ data, shape }: Tensor): readonly number[] {
  const vocabulary = shape[shape.length - 1];
  return Array.from({ length: data.length / vocabulary }, (_, at) => {
    const row = data.subarray(at * vocabulary, (at + 1) * vocabulary);
    return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
  });
}

/** The largest difference of numbers at the same place; infinite where they are not as many. */
export function largestDifference(one: Float32Array, other: Float32Array): number {
  if (one.length !== other.length) return Infinity;
  return one.reduce((largest, value, at) => Math.max(largest, Math.abs(value - other[at])), 0);
}

/** Greedy tokens after a first one, and the logits that they were chosen by. */
export async function generate(
  model: Decoder,
  arrays: ModelArrays,
  first: number,
  count: number,
): Promise<{ readonly said: readonly number[]; readonly logits: Float32Array }> {
  const decoding = model.decode(arrays);
  const said: number[] = [];
  const logits = new Float32Array(count * model.config.vocabulary);
  let token = first;
  while (said.length < count) {
    const row = await decoding.step(Int32Array.of(token));
    logits.set(row.data, said.length * row.data.length);
    [token] = likeliestOf(row);
    said.push(token);
  }
  decoding.dispose();
  return { said, logits };
}

/** Words of six letters, of which every `step`-th of all 3⁶ is taken, and what nano-sort makes of them. */
export async function sortWords(
  model: Decoder,
  arrays: ModelArrays,
  step: number,
): Promise<{ readonly words: readonly number[][]; readonly sorted: readonly number[][] }> {
  const words = Array.from({ length: Math.ceil(3 ** 6 / step) }, (_, index) =>
    Array.from({ length: 6 }, (__, at) => Math.floor((index * step) / 3 ** at) % 3),
  );
  const decoding = model.decode(arrays, { batch: words.length });
  const sorted = words.map((): number[] => []);
  for (let at = 0; at < 11; at++) {
    const given = words.map((word, row) => word[at] ?? sorted[row][at - 6]);
    const next = likeliestOf(await decoding.step(Int32Array.from(given)));
    if (at >= 5) next.forEach((token, row) => sorted[row].push(token));
  }
  decoding.dispose();
  return { words, sorted };
}

/** The 200 tokens that llama2.c's own test expects of stories260K, without the first, which begins a text. */
export function publishedIds(published: unknown): readonly number[] {
  return (published as { readonly stories260K: { readonly ids: readonly number[] } }).stories260K.ids;
}
