import { beforeAll, describe, expect, test } from "vitest";
import { rowSpread } from "../attention/index.ts";
import { Tape } from "../autodiff/index.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { type DecoderConfig } from "./decoder-config.ts";
import { decoder } from "./decoder.ts";
import { differencesFromF64, withArrays } from "./decoder-fixtures.ts";
import { livelyTensors, randomBatch } from "./model-fixtures.ts";

/** Scores in f32 spread by 1 to a few 2⁻²⁴; the reference's f64 statistics add nothing. */
const spreadTolerance = 1e-4;

const base: DecoderConfig = {
  vocabulary: 11,
  width: 16,
  layers: 2,
  heads: 4,
  attention: "dot:scale=auto+rope+causal",
  maximumLength: 12,
};

beforeAll(() => startJax());

const variants: Readonly<Record<string, Partial<DecoderConfig>>> = {
  "Llama's blocks with rope": {},
  "LayerNorm and GELU": { norm: "layer", feedForward: "gelu", attention: "l2:beta=learned+causal" },
  "no feed-forward, an output table of its own": { feedForward: "none", tiedHead: false },
  "shared key/value heads": { keyValueHeads: 2, attention: "cosine:beta=learned+alibi+causal" },
  "heads wider than width/H": { headWidth: 6, attention: "poincare:beta=learned+causal" },
  "learned positions": { attention: "dot+learned+causal" },
  "sines and cosines": { attention: "dot+sinusoidal+causal+window:w=3" },
  "a trained bias of positions": { attention: "cauchy:beta=learned+log-cpb:hidden=8+causal" },
  "an attention for each layer": { attention: ["l1:beta=learned+causal", "dot+causal+topk:k=2"] },
  "groups of heads with attentions of their own": {
    keyValueHeads: 2,
    attention: [
      [
        { selector: "dot:scale=learned+rope+causal", heads: 2 },
        { selector: "lorentz:beta=learned,c=learned+causal", heads: 2 },
      ],
      "dot+causal+none",
    ],
  },
  "Qwen2's biases and an ε of its own": { projectionBias: true, normEpsilon: 0.25, keyValueHeads: 2 },
  "GPT-2's blocks": {
    norm: "layer",
    feedForward: "gelu",
    projectionBias: true,
    outputBias: true,
    feedForwardBias: true,
    attention: "l2:beta=learned+learned+causal+window:w=4",
    embeddingScale: 1.5,
  },
  "Qwen3's norms of heads, of any width": {
    headNorm: "rms",
    headWidth: 6,
    keyValueHeads: 2,
    normEpsilon: 0.125,
    feedForwardBias: true,
    attention: [
      [
        { selector: "dot+rope:theta=500,layout=interleaved+causal", heads: 2 },
        { selector: "cosine:beta=learned+rope+causal", heads: 2 },
      ],
      "deltanet",
    ],
  },
  "an exact GELU, scaled embeddings": { feedForward: "gelu-exact", embeddingScale: 3, convolution: 2 },
  "ReLU and two streams": { feedForward: "relu", residual: "reversible", outputBias: true },
  "reversible residuals": { residual: "reversible", norm: "layer", feedForward: "gelu", layers: 3 },
  "keys that are the queries at unit length": {
    sharedQueryKey: true,
    attention: "dot:scale=auto+learned+causal",
  },
  "reversible residuals, shared queries and keys, groups of heads": {
    residual: "reversible",
    sharedQueryKey: true,
    attention: [
      [
        { selector: "dot:scale=learned+rope+causal", heads: 1 },
        { selector: "l2:beta=learned+strided:stride=3,local=2", heads: 3 },
      ],
      "dot+causal+topk:k=3",
    ],
  },
};

/** What can compute the attentions of a decoder. */
const engines = { "jax-js": undefined, "fused kernels": new WasmEngine() };

describe.each(Object.entries(engines))("decoder on %s", (_name, engine) => {
  test.each(Object.entries(variants))(
    "has the logits and gradients of its f64 form: %s",
    async (_, variant) => {
      const model = decoder({ ...base, ...variant }, { engine });
      expect(await differencesFromF64(model, livelyTensors(model, 3), randomBatch(11, 2, 7))).toEqual([]);
      model.dispose();
    },
  );
});

describe("decoder", () => {
  test("a later token changes no earlier logit by a bit", async () => {
    const model = decoder({ ...base, attention: ["l2:beta=auto+rope+causal", "dot+alibi+causal+topk:k=3"] });
    const tensors = livelyTensors(model, 1);
    const { tokens } = randomBatch(11, 1, 10);
    const changed = tokens.with(6, (tokens[6] + 1) % 11);
    const [one, other] = await withArrays(tensors, async (arrays) => [
      await model.logits(arrays, tokens, 1),
      await model.logits(arrays, changed, 1),
    ]);
    model.dispose();
    expect(other.data.slice(0, 6 * 11)).toEqual(one.data.slice(0, 6 * 11));
    expect(other.data.slice(6 * 11)).not.toEqual(one.data.slice(6 * 11));
  });

  test("only labelled places are scored", async () => {
    const model = decoder(base);
    const tensors = livelyTensors(model, 1);
    const all = randomBatch(11, 2, 5);
    const positions = Int32Array.of(7, 2, 9);
    const some = { ...all, positions, targets: positions.map((place) => all.targets[place]) };
    const [losses, chosen, loss] = await withArrays(tensors, async (arrays) => {
      const tape = new Tape({ gradient: false });
      const [value] = await (await model.loss(tape, arrays, some)).read();
      tape.dispose();
      return [await model.evaluate(arrays, all), await model.evaluate(arrays, some), value];
    });
    const logits = await withArrays(tensors, (arrays) => model.logits(arrays, all.tokens, 2));
    model.dispose();
    positions.forEach((place, label) => expect(chosen.losses[label]).toBeCloseTo(losses.losses[place], 5));
    expect(loss).toBeCloseTo(chosen.losses.reduce((a, b) => a + b) / 3, 5);
    const likeliest = [...positions].map((place) => {
      const row = Array.from(logits.data.subarray(place * 11, (place + 1) * 11));
      return row.indexOf(Math.max(...row));
    });
    expect([...chosen.predicted]).toEqual(likeliest);
  });

  test("calibration gives rows of scores a spread of 1 in every head and layer", async () => {
    const model = decoder({
      ...base,
      attention: [
        [
          { selector: "l1:beta=auto+causal", heads: 2 },
          { selector: "rbf:sigma=auto+alibi+causal", heads: 2 },
        ],
        "poincare:beta=auto+causal",
      ],
    });
    const tensors = Object.fromEntries(model.parameters.map(({ name, initial }) => [name, initial(2)]));
    const batch = randomBatch(11, 4, 12);
    const held = await withArrays(tensors, (arrays) => model.calibrate(arrays, batch));
    expect(Object.keys(held)).toEqual([
      "model.layers.0.self_attn.groups.0.log_beta",
      "model.layers.0.self_attn.groups.1.log_sigma",
      "model.layers.1.self_attn.log_beta",
    ]);
    const again = await withArrays({ ...tensors, ...held }, (arrays) => model.calibrate(arrays, batch));
    model.dispose();
    const changes = Object.entries(held).flatMap(([name, { data }]) =>
      Array.from(data, (value, head) => Math.abs(again[name].data[head] - value)),
    );
    expect(Math.max(...changes)).toBeLessThan(spreadTolerance);
    expect(rowSpread({ data: [0, 2, 0, 2], shape: [1, 1, 2, 2] })[0]).toBe(1);
  });

  test("measures the largest score and the entropy of the weights", async () => {
    const uniform = decoder({ ...base, attention: "dot+causal" });
    const zero = Object.fromEntries(
      uniform.parameters.map(({ name, initial }) => {
        const { data, shape } = initial(1);
        return [name, { data: data.map((value) => (name.includes("q_proj") ? 0 : value)), shape }];
      }),
    );
    const batch = randomBatch(11, 1, 4);
    const statistics = await withArrays(zero, (arrays) => uniform.measureScores(arrays, batch));
    uniform.dispose();
    expect(statistics.largestLogit).toBe(0);
    expect(statistics.entropy).toBeCloseTo((Math.log(1) + Math.log(2) + Math.log(3) + Math.log(4)) / 4, 6);

    const linear = decoder({ ...base, attention: "dot+causal+none" });
    const raw = await withArrays(livelyTensors(linear, 1), (arrays) => linear.measureScores(arrays, batch));
    linear.dispose();
    expect(raw.largestLogit).toBeGreaterThan(0);
    expect(raw).not.toHaveProperty("entropy");
  });

  test("tells what its layers make, on both of what computes them, with experts and without a feed-forward", async () => {
    const experts: DecoderConfig = {
      ...base,
      keyValueHeads: 2,
      experts: { count: 4, routing: "mixtral" },
      attention: [
        [
          { selector: "l2+causal", heads: 2 },
          { selector: "dot+rope+causal", heads: 2 },
        ],
        "gla",
      ],
    };
    const { tokens } = randomBatch(11, 2, 5);
    for (const config of [experts, { ...base, feedForward: "none" } as const]) {
      const [one, other] = [decoder(config), decoder(config, { engine: new WasmEngine() })];
      await withArrays(livelyTensors(one, 2), async (arrays) => {
        const [found, fused] = [
          await one.activations(arrays, tokens, 2),
          await other.activations(arrays, tokens, 2),
        ];
        expect(found.layers.map(({ groups }) => groups.map(({ k }) => k.shape))).toEqual(
          config === experts
            ? [
                [
                  [2, 1, 5, 4],
                  [2, 1, 5, 4],
                ],
                [[2, 2, 5, 4]],
              ]
            : [[[2, 4, 5, 4]], [[2, 4, 5, 4]]],
        );
        const apart = found.layers.flatMap(({ fed, groups }, layer) =>
          [...fed.data]
            .map((value, at) => Math.abs(value - fused.layers[layer].fed.data[at]))
            .concat(
              [...groups[0].out.data].map((value, at) =>
                Math.abs(value - fused.layers[layer].groups[0].out.data[at]),
              ),
            ),
        );
        expect(Math.max(...apart)).toBeLessThan(spreadTolerance);
        // Without a feed-forward, a layer adds what its heads give by the output projection, and that is all.
        if (config !== experts) expect(found.layers[1].fed).toEqual(found.layers[1].attended);
        const [first, second] = found.layers;
        const heads = [
          { before: found.embedded, groups: first.groups },
          { before: first.fed, groups: second.groups },
        ];
        for (const layers of [[0], [1], [0, 1]]) {
          const wanted = layers.map((layer) => heads[layer]);
          expect(await one.headActivations(arrays, tokens, 2, layers)).toEqual(wanted);
        }
      });
      one.dispose();
      other.dispose();
    }
    const reversible = decoder({ ...base, residual: "reversible" });
    for (const read of [
      () => reversible.activations({}, tokens, 2),
      () => reversible.headActivations({}, tokens, 2, [0]),
    ]) {
      expect(read).toThrow(expect.objectContaining({ code: "activations-residual" }));
    }
    reversible.dispose();
  });

  test("refuses what it cannot read", async () => {
    const model = decoder(base);
    const tensors = livelyTensors(model, 1);
    const { tokens, targets } = randomBatch(11, 1, 4);
    await withArrays(tensors, async (arrays) => {
      await expect(model.logits(arrays, new Int32Array(13), 1)).rejects.toThrow(
        "at most maximumLength tokens: 13",
      );
      await expect(model.logits(arrays, tokens, 3)).rejects.toThrow("the batch must divide its tokens");
      await expect(model.logits(arrays, new Int32Array(0), 1)).rejects.toThrow(
        "the batch must divide its tokens",
      );
      await expect(model.logits(arrays, Int32Array.of(11), 1)).rejects.toThrow("from 0 to 10: 11");
      await expect(model.evaluate(arrays, { tokens, targets: targets.slice(1), batch: 1 })).rejects.toThrow(
        "one target",
      );
      const outside = { tokens, targets: targets.slice(0, 1), positions: Int32Array.of(4), batch: 1 };
      await expect(model.evaluate(arrays, outside)).rejects.toThrow("must be one of its 4: 4");
    });
    model.dispose();
  });
});
