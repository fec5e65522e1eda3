/** @file Decoders whose weights stay in an engine: the logits of the staged decoder, threads, 8-bit weights, memory and refusals. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type QuantisedMatrix } from "../base/quantised-matrix.ts";
import { narrow, type Tensor } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/start.ts";
import { nodeEngine } from "../kernels/wasm/engine/pool.node.ts";
import { type DecoderConfig } from "./decoder-config.ts";
import { withArrays } from "./decoder-fixtures.ts";
import { decoder } from "./decoder.ts";
import { inference, type InferenceWeights } from "./inference.ts";
import { livelyTensors, randomBatch } from "./model-fixtures.ts";

/** Logits of size 10 whose sums are of another order, in f32, after two layers: some 100 roundings of 2⁻²⁴ of 10. */
const tolerance = 1e-4;

const base: DecoderConfig = {
  vocabulary: 11,
  width: 12,
  layers: 2,
  heads: 2,
  headWidth: 8,
  attention: "dot+rope+causal",
  maximumLength: 9,
};

beforeAll(() => startJax());
const engines = [nodeEngine({ threads: 1 }), nodeEngine({ threads: 2 })];
afterAll(() => engines.forEach((engine) => engine.close()));

const narrowed = (tensors: ReturnType<typeof livelyTensors>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, narrow(tensor)]));

/** The logits after prompts of these lengths, of two sequences of seven tokens. */
async function logitsAfter(
  config: DecoderConfig,
  weights: InferenceWeights,
  engine: (typeof engines)[number],
  counts: readonly number[],
): Promise<{ readonly rows: readonly Float32Array[]; readonly stateBytes: number }> {
  const { tokens } = randomBatch(11, 2, 7);
  const model = inference(config, weights, { engine });
  engine.arena.poison();
  const decoding = model.start({ batch: 2 });
  const rows: Float32Array[] = [];
  for (const count of counts) {
    const first = decoding.length;
    const given = [first, 7 + first].flatMap((from) => [...tokens.subarray(from, from + count)]);
    const { data, shape } = await decoding.take(Int32Array.from(given));
    expect(shape).toEqual([2, 11]);
    rows.push(data);
  }
  const { stateBytes } = decoding;
  decoding.dispose();
  model.dispose();
  return { rows, stateBytes };
}

const prompts = [
  [1, 1, 1, 1, 1, 1, 1],
  [3, 1, 3],
];

describe("a decoder in an engine's memory", () => {
  test.each<[string, Partial<DecoderConfig>]>([
    [
      "Llama's, with a mixture of heads",
      {
        keyValueHeads: 1,
        attention: ["l2:beta=learned+rope+causal", "cosine:beta=learned+alibi+causal+topk:k=3"],
        tiedHead: false,
      },
    ],
    ["Qwen3's", { headNorm: "rms", projectionBias: true, outputBias: true, feedForwardBias: true }],
    [
      "GPT-2's",
      {
        norm: "layer",
        feedForward: "gelu",
        projectionBias: true,
        outputBias: true,
        feedForwardBias: true,
        attention: "dot+learned+causal",
      },
    ],
    [
      "the exact GELU, and sines and cosines",
      { feedForward: "gelu-exact", attention: "linear:map=hedgehog+sinusoidal" },
    ],
    [
      "recurrences beside an attention, ReLU and scaled embeddings",
      {
        feedForward: "relu",
        embeddingScale: 2,
        attention: [
          [
            { selector: "gated-deltanet", heads: 1 },
            { selector: "dot+alibi+causal+window:w=3", heads: 1 },
          ],
          "rwkv4",
        ],
      },
    ],
  ])("has the logits of the staged form: %s", async (_what, variant) => {
    const config = { ...base, ...variant };
    const staged = decoder(config);
    const weights = narrowed(livelyTensors(staged, 3));
    const { tokens } = randomBatch(11, 2, 7);
    const { data } = await withArrays(weights, (arrays) => staged.logits(arrays, tokens, 2));
    const largest = Math.max(1, ...data.map(Math.abs));
    for (const counts of prompts) {
      const [one, two] = [
        await logitsAfter(config, weights, engines[0], counts),
        await logitsAfter(config, weights, engines[1], counts),
      ];
      expect(two.rows).toEqual(one.rows);
      expect(one.stateBytes).toBe(2 * staged.stateBytes(7));
      let length = 0;
      one.rows.forEach((row, index) => {
        length += counts[index];
        row.forEach((value, at) => {
          const [sequence, token] = [Math.floor(at / 11), at % 11];
          const expected = data[(sequence * 7 + length - 1) * 11 + token];
          expect(Math.abs(value - expected)).toBeLessThan(tolerance * largest);
        });
      });
    }
    staged.dispose();
  });

  test("8-bit matrices are the float32 numbers that they stand for, also beside others", async () => {
    const tensors = narrowed(livelyTensors(decoder(base), 3));
    const [eight, wide]: Record<string, Tensor | QuantisedMatrix>[] = [{ ...tensors }, { ...tensors }];
    for (const [name, { data, shape }] of Object.entries(tensors)) {
      // The gate of the first layer stays float32 while what it gates does not.
      if (shape.length !== 2 || name.includes("0.mlp.gate")) continue;
      const [zeroPoint, scale] = [name.includes("q_proj") ? 3 : 0, 0.02];
      const bytes = Int8Array.from(data, (value) => Math.min(127, Math.max(-127, Math.round(value / scale))));
      eight[name] = { data: bytes, shape: [shape[0], shape[1]], scale, zeroPoint };
      wide[name] = { data: Float32Array.from(bytes, (value) => scale * (value - zeroPoint)), shape };
    }
    const [a, b] = [eight, wide].map((weights) => logitsAfter(base, weights, engines[0], [4, 1]));
    const [ours, theirs] = [(await a).rows, (await b).rows].map((rows) => rows.flatMap((row) => [...row]));
    const largest = Math.max(1, ...theirs.map(Math.abs));
    ours.forEach((value, at) => expect(Math.abs(value - theirs[at])).toBeLessThan(tolerance * largest));
  });

  test("gives its memory back, and refuses what only stages compute", () => {
    const [engine] = engines;
    const weights = narrowed(livelyTensors(decoder(base), 3));
    const { mark } = engine.arena;
    const model = inference(base, weights, { engine });
    expect(engine.arena.mark - mark).toBeGreaterThanOrEqual(model.sizeBytes);
    model.dispose();
    expect(engine.arena.mark).toBe(mark);
    const make = (variant: Partial<DecoderConfig>, given: InferenceWeights = weights) =>
      inference({ ...base, ...variant }, given, { engine });
    const { "model.norm.weight": _, ...few } = weights;
    for (const [act, code] of [
      [() => make({ experts: { count: 4, routing: "mixtral" } }), "inference-form"],
      [() => make({ convolution: 3 }), "inference-form"],
      [() => make({ residual: "reversible" }), "inference-form"],
      [() => make({ headWidth: 12, headNorm: "rms" }), "inference-form"],
      [() => make({ attention: "dot+causal+sigmoid" }), "decoding-normaliser"],
      [() => make({}, few), "weights-missing"],
      [() => make({ vocabulary: 12 }), "weights-shape"],
    ] as const) {
      expect(act).toThrow(expect.objectContaining({ code }));
      expect(engine.arena.mark).toBe(mark);
    }
  });

  test.each(["self_attn.log_beta", "mlp.down_proj.weight"])(
    "gives its memory back where the last layer's %s cannot be read in the end",
    (name) => {
      const [engine] = engines;
      const config = { ...base, attention: "cosine:beta=learned+rope+causal" };
      const weights = narrowed(livelyTensors(decoder(config), 3));
      const last = `model.layers.1.${name}`;
      const own = weights[last];
      let reads = 0;
      Object.defineProperty(weights, last, {
        get() {
          // What is checked at first may be gone when it is kept.
          if (++reads > 1) throw new Error("gone");
          return own;
        },
      });
      const { mark } = engine.arena;
      expect(() => inference(config, weights, { engine })).toThrow("gone");
      expect(engine.arena.mark).toBe(mark);
    },
  );
});
