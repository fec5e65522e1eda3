/** @file llama2.c's files: the order of their parts, and headers that are no model. The trained one is in the decoder's tests. */
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sizeOf } from "../base/tensor.ts";
import { wordingRule } from "./hostile-file.ts";
import { layLlama2c, smallLlama2cNumbers, smallLlama2cSizes } from "./hostile-weights.ts";
import type { Llama2cSizes } from "./hostile-weights.ts";
import { openLlama2cWeights } from "./llama2c-weights.node.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qklab-llama2c-"));
  path = join(folder, "model.bin");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("parts lie one after the other, each over all layers, and the header is the config", async () => {
  await writeFile(path, layLlama2c(smallLlama2cSizes, smallLlama2cNumbers));
  const weights = await openLlama2cWeights(path);
  expect(weights.config).toEqual({
    model_type: "llama",
    hidden_size: 4,
    intermediate_size: 3,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: 3,
    max_position_embeddings: 2,
    tie_word_embeddings: true,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
  });
  // The numbers count up, so the first of a tensor is its place.
  const places: (readonly [string, readonly number[], number])[] = [];
  for (const [name, { shape }] of weights.tensors) {
    const { data } = await weights.read(name);
    expect(data).toEqual(Float32Array.from({ length: sizeOf(shape) }, (_, place) => data[0] + place));
    places.push([name, shape, data[0]]);
  }
  const layered = (kind: string, shape: readonly number[], first: number, second: number): typeof places => [
    [`model.layers.0.${kind}.weight`, shape, first],
    [`model.layers.1.${kind}.weight`, shape, second],
  ];
  expect(places).toEqual([
    ["model.embed_tokens.weight", [3, 4], 0],
    ...layered("input_layernorm", [4], 12, 16),
    ...layered("self_attn.q_proj", [4, 4], 20, 36),
    ...layered("self_attn.k_proj", [2, 4], 52, 60),
    ...layered("self_attn.v_proj", [2, 4], 68, 76),
    ...layered("self_attn.o_proj", [4, 4], 84, 100),
    ...layered("post_attention_layernorm", [4], 116, 120),
    ...layered("mlp.gate_proj", [3, 4], 124, 136),
    ...layered("mlp.down_proj", [4, 3], 148, 160),
    ...layered("mlp.up_proj", [3, 4], 172, 184),
    ["model.norm.weight", [4], 196],
  ]);
  expect(await weights.readQuantised("model.norm.weight")).toBeUndefined();
  await weights.close();
});

test("a negative vocabulary says that the output has its own matrix, after the angles", async () => {
  await writeFile(path, layLlama2c([4, 3, 2, 2, 1, -3, 2], smallLlama2cNumbers + 12));
  const weights = await openLlama2cWeights(path);
  expect(weights.config).toMatchObject({ vocab_size: 3, tie_word_embeddings: false });
  expect(await weights.read("lm_head.weight")).toEqual({
    shape: [3, 4],
    data: Float32Array.from({ length: 12 }, (_, place) => smallLlama2cNumbers + place),
  });
  await weights.close();
});

const huge = 2 ** 31 - 1;
test.each<readonly [string, Llama2cSizes, string, string]>([
  ["a width of 0", [0, 3, 2, 2, 1, 3, 2], "header", "width 0"],
  ["a negative number of layers", [4, 3, -2, 2, 1, 3, 2], "header", "-2 layers"],
  ["no words", [4, 3, 2, 2, 1, 0, 2], "header", "vocabulary 0"],
  ["the vocabulary that has no negative", [4, 3, 2, 2, 1, -(2 ** 31), 2], "header", "vocabulary"],
  ["heads that do not divide the width", [4, 3, 2, 3, 1, 3, 2], "header", "3 heads"],
  ["key heads that do not divide the heads", [4, 3, 2, 2, 3, 3, 2], "header", "3 key heads"],
  ["heads of odd width", [4, 3, 2, 4, 1, 3, 2], "header", "even width"],
  ["a billion layers", [2, 1, 2 ** 30, 1, 1, 1, 1], "header", "at most 4096 layers"],
  [
    "sizes whose product no integer holds",
    [huge - 1, huge, 4096, 1, 1, huge, huge],
    "length",
    "must fill it",
  ],
  ["another size", [4, 3, 2, 2, 1, 4, 2], "length", `${28 + 4 * smallLlama2cNumbers} bytes`],
  ["an archive of PyTorch", [0x04034b50, 3, 2, 2, 1, 3, 2], "header", "an archive of PyTorch"],
  ["a later version", [0x616b3432, 1, 2, 2, 1, 3, 2], "header", "a later version"],
])("%s is refused", async (_, sizes, code, seen) => {
  await writeFile(path, layLlama2c(sizes, smallLlama2cNumbers));
  await expect(openLlama2cWeights(path)).rejects.toMatchObject({
    name: "DomainError",
    code: `llama2c-${code}`,
    message: expect.stringMatching(wordingRule),
  });
  await expect(openLlama2cWeights(path)).rejects.toThrow(seen);
});

test("half a file is refused, with the bytes that its model needs", async () => {
  await writeFile(path, layLlama2c(smallLlama2cSizes, smallLlama2cNumbers));
  await truncate(path, 400);
  await expect(openLlama2cWeights(path)).rejects.toThrow(`${28 + 4 * smallLlama2cNumbers} bytes: 400 bytes`);
});
