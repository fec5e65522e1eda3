/** @file A small decoder laid by hand, for tests: its layers add nothing, and its head says what follows the last token. */
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { random } from "../base/random.ts";
import { decoder, type DecoderConfig } from "../models/index.ts";

/** The mark that opens a turn. */
export const start = 261;
/** The mark that ends a text. */
const end = 262;

/** After each token another: `h` is followed by 天 and 你 in pieces that are no characters, x and y by each other for ever. */
const followers: readonly (readonly [number, number])[] = [
  [0x68, 260],
  [260, 0xa9],
  [0xa9, 0xe4],
  [0xe4, 0xbd],
  [0xbd, 0xa0],
  [0xa0, end],
  [0x78, 0x79],
  [0x79, 0x78],
];

/** Its config.json. */
export const laidConfig: Readonly<Record<string, unknown>> = {
  model_type: "llama",
  vocab_size: 264,
  hidden_size: 64,
  intermediate_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 100_000,
};

/** Its numbers. */
export function laidTensors(layers: Partial<DecoderConfig> = {}): Record<string, Tensor> {
  const { parameters } = decoder({
    vocabulary: 264,
    width: 64,
    hidden: 8,
    layers: 2,
    heads: 4,
    norm: "rms",
    feedForward: "swiglu",
    tiedHead: false,
    attention: "dot+rope+causal",
    maximumLength: 100,
    ...layers,
  });
  const draw = (parameter: string, shape: readonly number[]): Tensor => ({
    data: random(1, parameter).normals(sizeOf(shape)),
    shape,
  });
  const tensors = Object.fromEntries(
    parameters.map(({ name: own, shape }) => {
      const tensor = draw(own, shape);
      if (/norm/.test(own)) tensor.data.fill(1);
      else if (/o_proj|down_proj|lm_head/.test(own)) tensor.data.fill(0);
      return [own, tensor];
    }),
  );
  const drawn = new Map(Object.entries(tensors));
  const dataOf = (own: string): Float32Array => drawn.get(own)!.data;
  const table = dataOf("model.embed_tokens.weight");
  for (const [token, next] of followers) {
    dataOf("lm_head.weight").set(table.subarray(token * 64, token * 64 + 64), next * 64);
  }
  return tensors;
}

/** Its chat template: a conversation is its contents, each behind a mark. */
export const laidTemplate: string =
  "{% for message in messages %}<|im_start|>{{ message.content }}{% endfor %}";
