/** @file RWKV-4 to 7 as models that train: their f64 form, their gradients, decoding in constant memory, and what is refused. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { random } from "../base/random.ts";
import { decodeSafetensors, toFloat32 } from "../checkpoints/index.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { differencesFrom, withArrays } from "./decoder-fixtures.ts";
import { randomBatch, type Tensors } from "./model-fixtures.ts";
import { type RwkvConfig, rwkvRules } from "./rwkv-config.ts";
import { type RwkvDecoder, rwkvDecoder } from "./rwkv-decoder.ts";
import {
  drawNumber,
  likeliest,
  livelyRwkv,
  reversed,
  reversing,
  reversingTensors,
  rwkvInF64,
  tokensOf,
} from "./rwkv-fixtures.ts";

/** Logits of size 10 whose sums are of another order, in f32, after two layers: some 100 roundings of 2⁻²⁴ of 10. */
const tolerance = 1e-4;

const base = {
  vocabulary: 7,
  width: 6,
  layers: 2,
  heads: 2,
  headWidth: 4,
  hidden: 9,
  rank: 3,
  maximumLength: 8,
} satisfies Omit<RwkvConfig, "rule">;
const engine = new WasmEngine();

beforeAll(() => startJax());

/** All logits from those of each step, [B, N, V], and what is kept after each token. */
async function stepped(
  model: RwkvDecoder,
  tensors: Tensors,
  tokens: Int32Array,
  batch: number,
): Promise<{ readonly logits: Float32Array; readonly bytes: readonly number[] }> {
  const { vocabulary } = model.config;
  const length = tokens.length / batch;
  const logits = new Float32Array(tokens.length * vocabulary);
  const bytes: number[] = [];
  await withArrays(tensors, async (arrays) => {
    const decoding = model.decode(arrays, { batch });
    for (let place = 0; place < length; place++) {
      const given = Int32Array.from({ length: batch }, (_, row) => tokens[row * length + place]);
      const { data } = await decoding.step(given);
      for (let row = 0; row < batch; row++) {
        const from = row * vocabulary;
        logits.set(data.subarray(from, from + vocabulary), (row * length + place) * vocabulary);
      }
      bytes.push(decoding.stateBytes);
    }
    decoding.dispose();
  });
  return { logits, bytes };
}

function largestDifference(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(found.length).toBe(wanted.length);
  return Array.from(wanted).reduce((most, value, at) => Math.max(most, Math.abs(value - found[at])), 0);
}

describe.each(rwkvRules)("%s", (rule) => {
  // Of the reference every rule is tested elsewhere, so here one.
  test.each([
    ["fused kernels", { biases: false, embeddingNorm: true }, engine],
    ...(rule === "rwkv7"
      ? [["the reference", { biases: true, embeddingNorm: false }, undefined] as const]
      : []),
  ] as const)("has the logits and all gradients of its f64 form on %s", async (_name, parts, computed) => {
    const model = rwkvDecoder({ ...base, rule, ...parts }, { engine: computed });
    const form = (tensors: Tensors, tokens: Int32Array) => rwkvInF64(model.config, tensors, tokens).rows;
    // The weakest gradient of these tensors has a length of 90 tolerances.
    const tensors = livelyRwkv(model.parameters, 2);
    expect(await differencesFrom(model, tensors, randomBatch(7, 2, 5), form)).toEqual([]);
    model.dispose();
  });

  test("decodes with the same logits, in the bytes that it says, however many tokens", async () => {
    const model = rwkvDecoder({ ...base, rule }, { engine });
    const tensors = livelyRwkv(model.parameters, 3);
    const { tokens } = randomBatch(7, 2, 6);
    const { data } = await withArrays(tensors, (arrays) => model.logits(arrays, tokens, 2));
    const { logits, bytes } = await stepped(model, tensors, tokens, 2);
    const size = Math.max(1, ...data.map(Math.abs));
    expect(largestDifference(logits, data)).toBeLessThan(tolerance * size);
    expect(bytes).toEqual(bytes.map(() => 2 * model.stateBytes(1)));
    await withArrays(tensors, async (arrays) => {
      const decoding = model.decode(arrays, { batch: 2 });
      const of = (from: number, to: number): Int32Array =>
        Int32Array.from([...tokens.subarray(from, to), ...tokens.subarray(6 + from, 6 + to)]);
      await decoding.take(of(0, 4));
      await decoding.step(of(4, 5));
      const last = await decoding.take(of(5, 6));
      const wanted = [...data.subarray(35, 42), ...data.subarray(77, 84)];
      expect(largestDifference(last.data, wanted)).toBeLessThan(tolerance * size);
      await expect(decoding.take(of(0, 3))).rejects.toMatchObject({ code: "decoder-length" });
      await expect(decoding.take(Int32Array.of(1, 2, 3))).rejects.toMatchObject({ code: "decoder-tokens" });
      decoding.dispose();
    });
    model.dispose();
  });
});

describeWithSharedData("the trained RWKV-7 that reverses", reversing.path, (path) => {
  const { tensors: stored } = decodeSafetensors(readFileSync(path));
  const tensors = reversingTensors(new Map([...stored].map(([name, tensor]) => [name, toFloat32(tensor)])));

  test("has the logits of the f64 blocks, and reverses from its own answers", async () => {
    const model = rwkvDecoder(reversing.config, { engine });
    const own = Object.fromEntries(model.parameters.map(({ name }) => [name, tensors[name]]));
    const given = drawNumber(60, random("rwkv", "trained"));
    const text = tokensOf(`${given},${reversed(given)}`);
    const wanted = rwkvInF64(model.config, tensors, text).rows.flatMap((row) => [...row]);
    await withArrays(own, async (arrays) => {
      const { data } = await model.logits(arrays, text, 1);
      const size = Math.max(...wanted.map(Math.abs));
      expect(largestDifference(data, wanted)).toBeLessThan(tolerance * size);
      const decoding = model.decode(arrays);
      let answer = "";
      for (let letter = "", place = 0; letter !== "#" && place < 130; place++) {
        const token = place < 60 ? given[place] : place === 60 ? "," : letter;
        const { data: row } = await decoding.step(tokensOf(token));
        if (place < 60) continue;
        letter = likeliest(row);
        answer += letter;
      }
      expect(answer).toBe(`${reversed(given)}#`);
      decoding.dispose();
    });
    model.dispose();
  });
});

describe("an RWKV", () => {
  test.each<[string, RwkvConfig, string]>([
    ["other rules", { ...base, rule: "gla" }, "rwkv-rule"],
    [
      "heads that do not divide the width",
      { vocabulary: 7, width: 6, layers: 1, heads: 4, maximumLength: 8, rule: "rwkv5" },
      "rwkv-heads",
    ],
    ["no layers", { ...base, rule: "rwkv6", layers: 0 }, "rwkv-config"],
    ["settings that it does not have", { ...base, rule: "rwkv7", norm: "rms" } as RwkvConfig, "rwkv-config"],
  ])("refuses %s", (_what, config, code) => {
    expect(() => rwkvDecoder(config)).toThrow(expect.objectContaining({ code }));
  });
});
