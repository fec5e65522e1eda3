/** @file Weights that fit their config, in the layouts that store them otherwise than we do, and weights that do not; swapped attentions. */
import { describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { memoryWeights } from "../checkpoints/index.ts";
import { decoder } from "../models/index.ts";
import { readDecoderLayout } from "./layouts/index.ts";
import { loadDecoder } from "./load-decoder.ts";
import { swapAttention } from "./swap-attention.ts";

const draw = (name: string, shape: readonly number[]): Tensor => ({
  data: random(1, name).normals(sizeOf(shape)),
  shape,
});

const qwen3 = readDecoderLayout({
  model_type: "qwen3",
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
});
const ownNames = decoder(qwen3.config).parameters;
const fitting = Object.fromEntries(ownNames.map(({ name, shape }) => [name, draw(name, shape)]));

describe("loading a decoder", () => {
  test("reads tensors by their own names, by names without prefix, and a shared table under either of its names", async () => {
    const { model, tensors } = await loadDecoder(memoryWeights(fitting), qwen3);
    expect(tensors).toEqual(fitting);
    expect(tensors["model.layers.1.self_attn.q_norm.weight"].shape).toEqual([6]);
    expect(model.config.headNorm).toBe("rms");
    model.dispose();
    const { "model.embed_tokens.weight": table, ...others } = fitting;
    const bare = Object.entries(others).map(([name, tensor]) => [name.replace(/^model\./, ""), tensor]);
    const renamed = { ...Object.fromEntries(bare), "lm_head.weight": table } as Record<string, Tensor>;
    const again = await loadDecoder(memoryWeights(renamed), qwen3);
    expect(again.tensors).toEqual(fitting);
    again.model.dispose();
  });

  test("turns GPT-2's matrices, takes queries, keys and values apart, and passes its masks over", async () => {
    const layout = readDecoderLayout({
      model_type: "gpt2",
      vocab_size: 5,
      n_positions: 3,
      n_embd: 4,
      n_layer: 1,
      n_head: 2,
      n_inner: 6,
    });
    const at = "transformer.h.0.";
    const stored = {
      "transformer.wte.weight": draw("wte", [5, 4]),
      "transformer.wpe.weight": draw("wpe", [3, 4]),
      ...Object.fromEntries(
        ["h.0.ln_1", "h.0.ln_2", "ln_f"].flatMap((norm) =>
          ["weight", "bias"].map((kind) => [`transformer.${norm}.${kind}`, draw(norm + kind, [4])]),
        ),
      ),
      [`${at}attn.bias`]: draw("mask", [1, 1, 3, 3]),
      [`${at}attn.c_attn.weight`]: draw("qkv", [4, 12]),
      [`${at}attn.c_attn.bias`]: draw("qkv bias", [12]),
      [`${at}attn.c_proj.weight`]: draw("o", [4, 4]),
      [`${at}attn.c_proj.bias`]: draw("o bias", [4]),
      [`${at}mlp.c_fc.weight`]: draw("up", [4, 6]),
      [`${at}mlp.c_fc.bias`]: draw("up bias", [6]),
      [`${at}mlp.c_proj.weight`]: draw("down", [6, 4]),
      [`${at}mlp.c_proj.bias`]: draw("down bias", [4]),
    };
    const { model, tensors } = await loadDecoder(memoryWeights(stored), layout);
    model.dispose();
    const ours = (name: string): Tensor => tensors[`model.layers.0.${name}`];
    const qkv = stored[`${at}attn.c_attn.weight`].data;
    const up = stored[`${at}mlp.c_fc.weight`].data;
    for (let out = 0; out < 4; out++) {
      for (const [part, first] of [
        ["q", 0],
        ["k", 4],
        ["v", 8],
      ] as const) {
        const row = ours(`self_attn.${part}_proj.weight`).data.slice(out * 4, out * 4 + 4);
        expect([...row]).toEqual([0, 1, 2, 3].map((column) => qkv[column * 12 + first + out]));
        const bias = stored[`${at}attn.c_attn.bias`].data;
        expect(ours(`self_attn.${part}_proj.bias`).data[out]).toBe(bias[first + out]);
      }
    }
    expect(ours("mlp.up_proj.weight").shape).toEqual([6, 4]);
    expect(ours("mlp.up_proj.weight").data[5 * 4 + 2]).toBe(up[2 * 6 + 5]);
    expect(tensors["model.embed_positions.weight"]).toEqual(stored["transformer.wpe.weight"]);
  });

  test("begins what only another attention has as new, and keeps all weights of the old", async () => {
    const attention = swapAttention(decoder(qwen3.config).config.groups, {
      selector: "cosine:beta=learned",
      layers: [1],
      heads: [2, 3],
    });
    const { model, tensors } = await loadDecoder(memoryWeights(fitting), qwen3, { attention, seed: 3 });
    const { "model.layers.1.self_attn.groups.1.log_beta": beta, ...others } = tensors;
    expect(Array.from(beta.data)).toEqual(Array.from({ length: 2 }, () => Math.fround(Math.log(10))));
    expect(others).toEqual(fitting);
    model.dispose();
  });

  test.each<[string, Record<string, Tensor | undefined>, string, string]>([
    [
      "a tensor that is missing",
      { "model.layers.1.mlp.up_proj.weight": undefined },
      "weights-missing",
      "a tensor is missing: 'model.layers.1.mlp.up_proj.weight'",
    ],
    [
      "a tensor of another shape",
      { "model.layers.0.self_attn.k_proj.weight": draw("k", [24, 8]) },
      "weights-shape",
      "'model.layers.0.self_attn.k_proj.weight' must be [12, 8] and is [24, 8]",
    ],
    [
      "a tensor of another rank",
      { "model.norm.weight": draw("norm", [8, 1]) },
      "weights-shape",
      "must be [8] and is [8, 1]",
    ],
    [
      "a tensor that has no place",
      { "model.layers.0.self_attn.q_proj.bias": draw("bias", [24]) },
      "weights-foreign",
      "1 have none, such as 'model.layers.0.self_attn.q_proj.bias'",
    ],
    [
      "a layer too many",
      { "model.layers.2.mlp.up_proj.weight": draw("up", [12, 8]) },
      "weights-foreign",
      "'model.layers.2.mlp.up_proj.weight'",
    ],
    [
      "a number that is none",
      { "model.norm.weight": { data: new Float32Array(8).fill(NaN), shape: [8] } },
      "not-finite",
      "'model.norm.weight' of a file",
    ],
  ])("refuses %s", async (_, change, code, message) => {
    const changed = Object.entries({ ...fitting, ...change }).filter(([, tensor]) => tensor !== undefined);
    const source = memoryWeights(Object.fromEntries(changed) as Record<string, Tensor>, "a file");
    await expect(loadDecoder(source, qwen3)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});

describe("a swap", () => {
  const layer = [{ selector: "dot+rope:theta=9+causal+window:w=4", heads: 4 }];
  const learned = [{ selector: "dot:scale=1+learned+causal", heads: 4 }];

  test.each<[string, string, typeof layer, string]>([
    ["position and pattern of the old", "l2:beta=2", layer, "l2:beta=2+rope:theta=9+causal+window:w=4"],
    ["a position of its own", "l1+alibi", layer, "l1+alibi+causal+window:w=4"],
    ["no position where it says so", "l1+nope", layer, "l1+causal+window:w=4"],
    [
      "a pattern of its own",
      "dot+strided:stride=2,local=2",
      layer,
      "dot+rope:theta=9+strided:stride=2,local=2",
    ],
    ["other parts", "cosine+topk:k=2", learned, "cosine+learned+causal+topk:k=2"],
    ["a rule, without what it has no use for", "gla", layer, "gla"],
    ["a rule, with places of the embeddings", "gla", learned, "gla+learned"],
    ["a rule, turned where it can be", "retnet", layer, "retnet+rope:theta=9"],
    ["a rule, without a rotation where it says so", "retnet+nope", layer, "retnet+nope"],
  ])("has %s", (_, selector, old, expected) => {
    const [swapped] = swapAttention([old], { selector });
    expect(swapped).toBe(expected);
  });

  test("takes the place of some layers and heads", () => {
    const own = layer[0].selector;
    const l2 = "l2+rope:theta=9+causal+window:w=4";
    expect(swapAttention([layer, layer], { selector: "l2", layers: [1], heads: [1, 2] })).toEqual([
      own,
      [
        { selector: own, heads: 1 },
        { selector: l2, heads: 2 },
        { selector: own, heads: 1 },
      ],
    ]);
    expect(
      swapAttention(
        [
          [
            { selector: own, heads: 2 },
            { selector: l2, heads: 2 },
          ],
        ],
        { selector: "l2" },
      ),
    ).toEqual([l2]);
  });

  test.each([
    [{ selector: "l2", layers: [2] }, "layers must be some of 0 to 1: 2"],
    [{ selector: "l2", heads: [-1] }, "heads must be some of 0 to 3: -1"],
    [{ selector: "l2", layers: [] }, "layers must be some of 0 to 1: none"],
    [{ selector: "l22" }, "Did you mean 'l2'"],
  ])("of %o is refused", (swap, message) => {
    expect(() => swapAttention([layer, layer], swap)).toThrow(message);
  });
});
