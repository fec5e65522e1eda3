/** @file Trained models of other projects: what they say elsewhere, what swaps leave as it is, and decoding against the whole pass. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { readNanoSort } from "../../test/nano-sort.ts";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { positive } from "../base/parameter.ts";
import { type Tensor } from "../base/tensor.ts";
import { openLlama2cWeights } from "../checkpoints/llama2c-weights.node.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { withArrays } from "../models/decoder-fixtures.ts";
import { similarity } from "../similarities/index.ts";
import { readDecoderLayout } from "./layouts/index.ts";
import { loadDecoder, type LoadOptions } from "./load-decoder.ts";
import { loadInference } from "./load-inference.ts";
import { swapAttention } from "./swap-attention.ts";
import {
  generate,
  largestDifference,
  likeliestOf,
  publishedIds,
  asGpt2,
  readTensor,
  sortWords,
  type StoredTensor,
} from "./trained-fixtures.ts";

/** Logits of size 20 whose f32 sums are of another order, after five layers: some 100 roundings of 2⁻²⁴ of 20. */
const sumTolerance = 2e-4;
/** Scores of size 10 that have gained and lost a bias of size 20, β‖k‖², are off by 20·2⁻²⁴ each, and logits by some hundred of those. */
const biasTolerance = 5e-4;
/** The promise for the stored activations of nano-sort. */
const activationTolerance = 1e-5;

beforeAll(() => startJax());

const engine = new WasmEngine();

describeWithSharedData("stories260K, a Llama of llama2.c", "stories260K/stories260K.bin", (place) => {
  const ids = publishedIds(JSON.parse(readFileSync(new URL("../published.json", `file://${place}`), "utf8")));
  const dot = "dot+rope:theta=10000,layout=interleaved+causal";
  const tokens = Int32Array.from([1, ...ids.slice(0, -1)]);
  const load = async (options: LoadOptions): ReturnType<typeof loadDecoder> => {
    const weights = await openLlama2cWeights(place);
    const layout = readDecoderLayout({ ...weights.config, rope_interleaved: true });
    expect(layout.config.attention).toBe(dot);
    const loaded = await loadDecoder(weights, layout, { engine, ...options });
    await weights.close();
    return loaded;
  };
  const logitsWith = async (options: LoadOptions, given: Int32Array): Promise<Tensor> => {
    const { model, tensors } = await load(options);
    const logits = await withArrays(tensors, (arrays) => model.logits(arrays, given, 1));
    model.dispose();
    return logits;
  };

  test("says its 200 published tokens, and decoding has the logits of the whole pass", async () => {
    const { model, tensors } = await load({});
    await withArrays(tensors, async (arrays) => {
      const whole = await model.logits(arrays, tokens, 1);
      expect(likeliestOf(whole)).toEqual(ids);
      const { said, logits } = await generate(model, arrays, 1, 24);
      expect(said).toEqual(ids.slice(0, 24));
      expect(largestDifference(logits, whole.data.slice(0, logits.length))).toBeLessThan(sumTolerance);
    });
    model.dispose();
  });

  test("says them from an engine's memory, as a prompt and token by token", async () => {
    const weights = await openLlama2cWeights(place);
    const layout = readDecoderLayout({ ...weights.config, rope_interleaved: true });
    const model = await loadInference(weights, layout, { engine });
    await weights.close();
    const decoding = model.start();
    const said: number[] = likeliestOf(await decoding.take(tokens.slice(0, 8))).slice();
    while (said.length < ids.length - 7) {
      said.push(...likeliestOf(await decoding.step(Int32Array.of(said.at(-1)!))));
    }
    expect(said).toEqual(ids.slice(7));
    decoding.dispose();
    model.dispose();
  });

  test("a swap to dot changes no bit, and one to l2 without its key bias only rounding", async () => {
    const few = tokens.slice(0, 64);
    const { data: own } = await logitsWith({}, few);
    const unbiased = similarity("l2-without-its-key-bias", {
      inner: "dot",
      params: { beta: positive((width) => 1 / (2 * Math.sqrt(width))) },
      score: ({ s, q2, k2, beta }) => beta.mul(s.mul(2).sub(k2)).sub(beta.mul(q2)).add(beta.mul(k2)),
    });
    const groups = Array.from({ length: 5 }, () => [{ selector: dot, heads: 8 }]);
    const swapTo = (selector: string): LoadOptions => ({
      attention: swapAttention(groups, { selector, layers: [1, 3, 4], heads: [0, 1, 6, 7] }, [unbiased]),
      similarities: [unbiased],
    });
    expect(swapTo("dot").attention).toEqual(Array.from({ length: 5 }, () => dot));
    // Heads that are computed apart from others, though their attention is the same.
    const apart = [2, 6].map((heads) => ({ selector: dot, heads }));
    const split = await logitsWith({ attention: [dot, apart, dot, apart, apart] }, few);
    expect(split.data).toEqual(own);
    const l2 = await logitsWith(swapTo("l2-without-its-key-bias"), few);
    expect(largestDifference(l2.data, own)).toBeLessThan(biasTolerance);
    const biased = await logitsWith(swapTo("l2"), few);
    expect(largestDifference(biased.data, own)).toBeGreaterThan(1);
  });
});

describeWithSharedData("nano-sort, a GPT of minGPT", "nano-sort/gpt-nano-sort-model.json", (place) => {
  const stored = JSON.parse(
    readFileSync(new URL("gpt-nano-sort-t0-partials.json", `file://${place}`), "utf8"),
  ) as Readonly<Record<string, StoredTensor>>;
  const expected = (name: string): Float32Array => readTensor(stored[name]).data;

  test("has its stored activations, and sorts", async () => {
    const { config, weights } = asGpt2(await readNanoSort(place));
    const { model, tensors } = await loadDecoder(weights, readDecoderLayout(config), { engine });
    await withArrays(tensors, async (arrays) => {
      const tokens = Int32Array.from(expected("idx"));
      const { embedded, layers } = await model.activations(arrays, tokens, 3);
      const [first, second, third] = layers;
      const [{ q, k, v }] = first.groups;
      const logits = await model.logits(arrays, tokens, 3);
      const found: readonly (readonly [string, Tensor])[] = [
        ["x", embedded],
        ["q", q],
        ["k", k],
        ["v", v],
        ["attnResid", first.attended],
        ["mlpResid", first.fed],
        ["block0", first.fed],
        ["block1", second.fed],
        ["block2", third.fed],
        ["lm_head", logits],
      ];
      for (const [name, { data }] of found) {
        const isClose = largestDifference(data, expected(name)) < activationTolerance;
        expect([name, isClose]).toEqual([name, true]);
      }
      const { words, sorted } = await sortWords(model, arrays, 7);
      expect(sorted).toEqual(words.map((word) => word.toSorted((a, b) => a - b)));
    });
    model.dispose();
  });
});
