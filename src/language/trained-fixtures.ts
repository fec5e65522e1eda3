/** @file Trained models of other projects as configs and weights: llama2.c's file, and minGPT's tensors as JSON. */
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { memoryWeights, type WeightSource } from "../checkpoints/index.ts";
import { type Decoder, type ModelArrays } from "../models/index.ts";

/** A config and weights, as files of a model hold them. */
export interface TrainedModel {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: WeightSource;
}

/** llama2.c's first format: seven int32, then f32 tensors, those of the layers one kind after the other. */
export function readLlama2c(file: Buffer): TrainedModel {
  const [width, hidden, layers, heads, keyValueHeads, vocabulary, length] = Array.from(
    { length: 7 },
    (_, at) => file.readInt32LE(4 * at),
  );
  const keyWidth = (width / heads) * keyValueHeads;
  const ofLayers: readonly (readonly [string, readonly number[]])[] = [
    ["input_layernorm", [width]],
    ["self_attn.q_proj", [width, width]],
    ["self_attn.k_proj", [keyWidth, width]],
    ["self_attn.v_proj", [keyWidth, width]],
    ["self_attn.o_proj", [width, width]],
    ["post_attention_layernorm", [width]],
    ["mlp.gate_proj", [hidden, width]],
    ["mlp.down_proj", [width, hidden]],
    ["mlp.up_proj", [hidden, width]],
  ];
  const listed: readonly (readonly [string, readonly number[]])[] = [
    ["model.embed_tokens.weight", [vocabulary, width]],
    ...ofLayers.flatMap(([kind, shape]) =>
      Array.from({ length: layers }, (_, layer) => [`model.layers.${layer}.${kind}.weight`, shape] as const),
    ),
    ["model.norm.weight", [width]],
  ];
  const numbers = new Float32Array(file.buffer.slice(file.byteOffset + 28, file.byteOffset + file.length));
  let start = 0;
  const tensors = listed.map(([name, shape]): [string, Tensor] => {
    const size = sizeOf(shape);
    start += size;
    return [name, { data: numbers.slice(start - size, start), shape }];
  });
  return {
    config: {
      model_type: "llama",
      vocab_size: vocabulary,
      hidden_size: width,
      intermediate_size: hidden,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: keyValueHeads,
      max_position_embeddings: length,
      rms_norm_eps: 1e-5,
      rope_interleaved: true,
      tie_word_embeddings: true,
    },
    weights: memoryWeights(Object.fromEntries(tensors), "stories260K.bin"),
  };
}

/** A tensor of PyTorch in JSON. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: string;
}

/** Its numbers, which are f32. */
export function readTensor({ shape, data }: StoredTensor): Tensor {
  return { data: new Float32Array(new Uint8Array(Buffer.from(data, "base64")).buffer), shape };
}

/** minGPT's tensors: names of GPT-2's layout, but for matrices as [out, in]. */
export function readMinGpt(json: unknown): TrainedModel {
  const { config, ...stored } = json as { readonly config: Readonly<Record<string, number>> } & Readonly<
    Record<string, StoredTensor>
  >;
  const tensors = Object.entries(stored).map(([name, tensor]): [string, Tensor] => {
    const isConvolution = /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
    return [name, isConvolution ? transposed(readTensor(tensor)) : readTensor(tensor)];
  });
  return {
    config: {
      model_type: "gpt2",
      vocab_size: config["vocab_size"],
      n_positions: config["block_size"],
      n_embd: config["n_embd"],
      n_layer: config["n_layer"],
      n_head: config["n_head"],
      attn_pdrop: config["attn_pdrop"],
      tie_word_embeddings: false,
    },
    weights: memoryWeights(Object.fromEntries(tensors), "gpt-nano-sort-model.json"),
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
