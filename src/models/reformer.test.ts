/** @file Shared queries and keys, hashing and reversible residuals in a decoder: memory, causality, agreement of its two forms. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { compose } from "../attention/index.ts";
import { Tape } from "../autodiff/index.ts";
import { random } from "../base/random.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { causal } from "../patterns/index.ts";
import { dot } from "../similarities/index.ts";
import { attentionLayer } from "./attention-layer.ts";
import { decoder, type Decoder, type TokenBatch } from "./decoder.ts";
import { livelyTensors, randomBatch, type Tensors, toArrays } from "./model-fixtures.ts";
import { reformer, type ReformerConfig } from "./reformer.ts";

beforeAll(() => startJax());

/** Gradients of size 1 are sums of some thousand f32 products, in another order: 1000·2⁻²⁴. */
const GRADIENT_TOLERANCE = 1e-4;
/** A square root and a quotient of float32 numbers, and a sum of eight squares. */
const UNIT_TOLERANCE = 8 * 2 ** -24;

const base: ReformerConfig = { vocabulary: 11, width: 16, layers: 2, heads: 2, maximumLength: 32, chunk: 4 };
const engine = new WasmEngine();
const engines = [
  ["jax-js", undefined],
  ["fused kernels", engine],
] as const;

async function lossOn<Result>(
  model: Decoder,
  tensors: Tensors,
  batch: TokenBatch,
  use: (tape: Tape, gradients: () => Promise<Record<string, np.Array>>) => Promise<Result>,
): Promise<Result> {
  const arrays = toArrays(tensors);
  const tape = new Tape();
  const loss = await model.loss(tape, arrays, batch);
  const result = await use(tape, () => tape.backward(loss));
  tape.dispose();
  for (const array of Object.values(arrays)) array.dispose();
  return result;
}

test("is a composition: the paper's attention by its name, and another where one is given", () => {
  const { config } = reformer({ ...base, maximumLength: 1024, chunk: 64, seed: 3 });
  expect(config.attention).toBe("dot:scale=auto+learned+causal+lsh:buckets=16,rounds=4,chunk=64,seed=3");
  expect(config).toMatchObject({
    residual: "reversible",
    sharedQueryKey: true,
    norm: "layer",
    feedForward: "gelu",
  });
  expect(reformer({ ...base, attention: "l2+causal" }).config.attention).toBe("l2+causal");
  expect(reformer({ ...base, maximumLength: 1 }).config.groups).toHaveLength(2);
});

test("keys are the queries of one projection at unit length", async () => {
  const groups = [3, 1].map((heads) => ({
    composition: compose({ similarity: dot(), pattern: causal() }),
    heads,
    keyValueHeads: heads,
  }));
  const options = { prefix: "a", groups, width: 6, headWidth: 5, deviations: { into: 1, out: 1 } };
  const layer = attentionLayer({ ...options, engine: undefined, sharedQueryKey: true });
  expect(layer.parameters.map(({ name }) => name)).toEqual([
    "a.q_proj.weight",
    "a.v_proj.weight",
    "a.o_proj.weight",
  ]);
  const weights = toArrays(
    Object.fromEntries(layer.parameters.map(({ name, initial }) => [name, initial(1)])),
  );
  const rows = np.array(Float32Array.from(random("rows").normals(6 * 6)), { shape: [6, 6] });
  const projected = layer.project(rows, 2, weights);
  for (const [group, heads] of [3, 1].entries()) {
    const q = (await projected[`q.${group}`].data()) as Float32Array;
    const k = (await projected[`k.${group}`].data()) as Float32Array;
    expect(q).toHaveLength(2 * heads * 3 * 5);
    for (let start = 0; start < q.length; start += 5) {
      const length = Math.hypot(...q.subarray(start, start + 5));
      expect(Math.abs(Math.hypot(...k.subarray(start, start + 5)) - 1)).toBeLessThanOrEqual(UNIT_TOLERANCE);
      for (let d = start; d < start + 5; d++) {
        expect(Math.abs(k[d] - q[d] / length)).toBeLessThanOrEqual(UNIT_TOLERANCE);
      }
    }
  }
  layer.dispose();
});

describe.each(engines)("on %s", (_, computed) => {
  test("what is kept for backward does not grow with layers, as it does with plain residuals", async () => {
    const kept = (layers: number, residual: "plain" | "reversible"): Promise<number> => {
      const { chunk: _chunk, ...sizes } = base;
      const model = decoder(
        { ...sizes, layers, residual, sharedQueryKey: true, attention: "dot+rope+causal" },
        { engine: computed },
      );
      return lossOn(model, livelyTensors(model, 1), randomBatch(11, 2, 9), (tape) => {
        model.dispose();
        return Promise.resolve(tape.keptNumbers);
      });
    };
    const ofParameters = (layers: number): number => {
      const { chunk: _chunk, ...sizes } = base;
      const model = decoder({ ...sizes, layers, sharedQueryKey: true, attention: "dot+rope+causal" });
      return model.parameterCount;
    };
    expect([await kept(7, "reversible"), ofParameters(7) > ofParameters(2)]).toEqual([
      await kept(2, "reversible"),
      true,
    ]);
    const [few, many] = [await kept(2, "plain"), await kept(7, "plain")];
    expect(many).toBeGreaterThan(2 * few);
  });

  test.each(["hashing", "dot+rope+causal+topk:k=3"])(
    "a later token changes no earlier logit by a bit: %s",
    async (attention) => {
      const model = reformer(attention === "hashing" ? base : { ...base, attention }, { engine: computed });
      const { tokens } = randomBatch(11, 1, 20);
      const arrays = toArrays(livelyTensors(model, 1));
      const { data } = await model.logits(arrays, tokens, 1);
      const changed = await model.logits(arrays, tokens.with(13, (tokens[13] + 1) % 11), 1);
      for (const array of Object.values(arrays)) array.dispose();
      model.dispose();
      expect(changed.data.slice(0, 13 * 11)).toEqual(data.slice(0, 13 * 11));
      expect(changed.data.slice(13 * 11)).not.toEqual(data.slice(13 * 11));
    },
  );
});

test("the fused kernels and jax-js have the same gradients", async () => {
  const [composed, fused] = engines.map(([, computed]) => reformer(base, { engine: computed }));
  const tensors = livelyTensors(composed, 2);
  const batch = randomBatch(11, 2, 20);
  const read = (model: Decoder): Promise<Record<string, Float32Array>> =>
    lossOn(model, tensors, batch, async (_, gradients) => {
      const found: Record<string, Float32Array> = {};
      for (const [name, array] of Object.entries(await gradients())) {
        found[name] = (await array.data()) as Float32Array;
      }
      return found;
    });
  const [expected, found] = [await read(composed), await read(fused)];
  for (const [name, values] of Object.entries(expected)) {
    const worst = values.reduce((most, value, at) => Math.max(most, Math.abs(value - found[name][at])), 0);
    expect([name, worst < GRADIENT_TOLERANCE]).toEqual([name, true]);
  }
  composed.dispose();
  fused.dispose();
});

test("temperatures are calibrated through the streams", async () => {
  const model = reformer(base, { engine });
  const arrays = toArrays(livelyTensors(model, 2));
  const held = await model.calibrate(arrays, randomBatch(11, 2, 20));
  expect(Object.keys(held)).toEqual([0, 1].map((layer) => `model.layers.${layer}.self_attn.log_scale`));
  expect(await model.measureScores(arrays, randomBatch(11, 2, 20))).toHaveProperty("largestLogit");
  for (const array of Object.values(arrays)) array.dispose();
  model.dispose();
});
