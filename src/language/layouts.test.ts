/** @file Configs of real models as ours, what is refused of them, and the places of parameters among tensors. */
import { describe, expect, test } from "vitest";
import { decoder, type DecoderConfig } from "../models/index.ts";
import { readDecoderLayout, readEncoderLayout } from "./layouts/index.ts";

const minimind = {
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 1,
  dtype: "float16",
  eos_token_id: 2,
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 512,
  initializer_range: 0.02,
  intermediate_size: 1408,
  max_position_embeddings: 32768,
  mlp_bias: false,
  model_type: "llama",
  num_attention_heads: 8,
  num_hidden_layers: 8,
  num_key_value_heads: 2,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 1000000.0,
  tie_word_embeddings: true,
  transformers_version: "4.57.1",
  use_cache: true,
  vocab_size: 6400,
};

/** Sizes of a model that is small in all its members. */
const small = {
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
};
const gpt2 = { model_type: "gpt2", vocab_size: 16, n_positions: 8, n_embd: 12, n_layer: 2, n_head: 3 };
const dot = "dot+rope:theta=10000+causal";

test.each<[string, object, Partial<DecoderConfig>]>([
  [
    "MiniMind",
    minimind,
    {
      vocabulary: 6400,
      width: 512,
      layers: 8,
      heads: 8,
      keyValueHeads: 2,
      headWidth: 64,
      hidden: 1408,
      normEpsilon: 1e-5,
      tiedHead: true,
      projectionBias: false,
      attention: "dot+rope:theta=1000000+causal",
      maximumLength: 32768,
    },
  ],
  [
    "a Llama 3.2 with stretched positions and biases everywhere",
    {
      ...small,
      model_type: "llama",
      attention_bias: true,
      mlp_bias: true,
      rope_theta: 5e5,
      rope_scaling: {
        factor: 32,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: "llama3",
      },
    },
    {
      projectionBias: true,
      outputBias: true,
      feedForwardBias: true,
      normEpsilon: 1e-6,
      tiedHead: false,
      attention: "dot+rope:theta=500000,scaling=llama3,factor=32,original=8192+causal",
    },
  ],
  [
    "a Llama by its architecture alone, all of whose heads have keys, in adjacent pairs",
    { ...small, num_key_value_heads: null, architectures: ["LlamaForCausalLM"], rope_interleaved: true },
    { keyValueHeads: 4, attention: "dot+rope:theta=10000,layout=interleaved+causal" },
  ],
  [
    "linear scaling",
    { ...small, model_type: "llama", rope_scaling: { type: "linear", factor: 4 } },
    { attention: "dot+rope:theta=10000,scaling=pi,factor=4+causal" },
  ],
  [
    "dynamic scaling, which begins beyond the longest sequence",
    { ...small, model_type: "llama", rope_scaling: { type: "dynamic", factor: 4 } },
    { attention: dot, maximumLength: 64 },
  ],
  [
    "positions as later versions write them",
    {
      ...small,
      model_type: "llama",
      rope_parameters: {
        rope_type: "yarn",
        rope_theta: 100,
        factor: 4,
        original_max_position_embeddings: 16,
      },
    },
    { attention: "dot+rope:theta=100,scaling=yarn,factor=4,original=16+causal" },
  ],
  [
    "a Mistral whose window is as long as its sequences",
    { ...small, model_type: "mistral" },
    { attention: dot },
  ],
  [
    "a Mistral with a window",
    { ...small, model_type: "mistral", sliding_window: 16 },
    { attention: `${dot}+window:w=16` },
  ],
  ["a Mistral without one", { ...small, model_type: "mistral", sliding_window: null }, { attention: dot }],
  [
    "a Qwen2",
    { ...small, model_type: "qwen2", use_sliding_window: false, sliding_window: 16, max_window_layers: 1 },
    { projectionBias: true, attention: dot },
  ],
  [
    "a Qwen2 whose later layers see a window",
    { ...small, model_type: "qwen2", use_sliding_window: true, sliding_window: 16, max_window_layers: 1 },
    { attention: [dot, `${dot}+window:w=16`, `${dot}+window:w=16`] },
  ],
  [
    "a Qwen3 whose middle layer sees a window",
    {
      ...small,
      model_type: "qwen3",
      use_sliding_window: true,
      sliding_window: 16,
      layer_types: ["full_attention", "sliding_attention", "full_attention"],
    },
    { headNorm: "rms", headWidth: 128, projectionBias: false, attention: [dot, `${dot}+window:w=16`, dot] },
  ],
  [
    "a GPT-2",
    { ...gpt2, architectures: ["GPT2LMHeadModel"], summary_type: "cls_index", attn_pdrop: 0.1 },
    {
      norm: "layer",
      normEpsilon: 1e-5,
      feedForward: "gelu",
      hidden: 48,
      projectionBias: true,
      outputBias: true,
      feedForwardBias: true,
      tiedHead: true,
      attention: "dot+learned+causal",
      maximumLength: 8,
    },
  ],
  [
    "a GPT-2 with an exact GELU of another width and raw scores",
    { ...gpt2, activation_function: "gelu", n_inner: 20, scale_attn_weights: false },
    { feedForward: "gelu-exact", hidden: 20, attention: "dot:scale=1+learned+causal" },
  ],
])("reads the config of %s", (_, config, expected) => {
  const layout = readDecoderLayout(config);
  expect(layout.config).toMatchObject(expected);
  const model = decoder(layout.config);
  for (const { name } of model.parameters)
    expect([name, layout.placeOf(name)]).not.toEqual([name, undefined]);
  expect(layout.placeOf("model.layers.0.self_attn.log_beta")).toBeUndefined();
  model.dispose();
});

describe("a config is refused", () => {
  const llama = { ...small, model_type: "llama" };
  test.each<[string, unknown, string, string]>([
    ["that is no object", ["llama"], "config-invalid", 'must be a JSON object: ["llama"]'],
    ["of an unknown family", { model_type: "mamba" }, "config-model", "model_type mamba. Use llama (Llama"],
    ["of no family", {}, "config-model", "no model_type. Use llama"],
    [
      "with another head",
      { ...llama, architectures: ["LlamaForSequenceClassification"] },
      "config-model",
      "architectures LlamaForSequenceClassification",
    ],
    ["without a size", { ...llama, hidden_size: undefined }, "config-invalid", "'hidden_size'"],
    ["with a huge size", { ...llama, num_hidden_layers: 1e9 }, "config-invalid", "a number ≤ 4096 is needed"],
    [
      "with a size that is text",
      { ...llama, vocab_size: "16" },
      "config-invalid",
      `'vocab_size' does not fit: "16"`,
    ],
    ["with another activation", { ...llama, hidden_act: "gelu" }, "config-invalid", `"gelu". Correct`],
    [
      "with an unknown feature",
      { ...llama, attn_logit_softcapping: 50 },
      "config-feature",
      "'attn_logit_softcapping' is 50",
    ],
    [
      "with quantised weights",
      { ...llama, quantization_config: { bits: 4 } },
      "config-feature",
      '{"bits":4}',
    ],
    [
      "with an unknown scaling",
      { ...llama, rope_scaling: { type: "longrope" } },
      "config-rope",
      '"longrope"',
    ],
    [
      "with a scaling of no factor",
      { ...llama, rope_scaling: { type: "linear" } },
      "config-rope",
      "needs 'factor'",
    ],
    [
      "with an unknown setting of a scaling",
      { ...llama, rope_scaling: { type: "yarn", factor: 4, mscale: 1 } },
      "config-feature",
      "'mscale' is 1",
    ],
    [
      "with other bounds of a scaling",
      { ...llama, rope_scaling: { type: "yarn", factor: 4, beta_fast: 16 } },
      "config-rope",
      "'beta_fast' is 32 here: 16",
    ],
    [
      "with layers that nobody counts",
      { ...small, model_type: "qwen3", layer_types: [] },
      "config-layers",
      "0 entries, 3 layers",
    ],
    [
      "of a GPT-2 with other scales",
      { ...gpt2, scale_attn_by_inverse_layer_idx: true },
      "config-invalid",
      "only false",
    ],
  ])("%s", (_, config, code, message) => {
    expect(() => readDecoderLayout(config)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });

  test("of a BERT with relative positions", () => {
    const config = {
      model_type: "bert",
      vocab_size: 9,
      hidden_size: 8,
      intermediate_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 8,
    };
    expect(readEncoderLayout(config).config).toMatchObject({ feedForward: "gelu-exact", normEpsilon: 1e-12 });
    expect(() => readEncoderLayout({ ...config, position_embedding_type: "relative_key" })).toThrow(
      "absolute",
    );
    expect(() => readDecoderLayout(config)).toThrow("model_type bert");
  });
});
