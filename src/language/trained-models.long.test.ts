/** @file Trained models of other projects, at full length and on everything that can compute them. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { readNanoSort } from "../../test/nano-sort.ts";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { openLlama2cWeights } from "../checkpoints/llama2c-weights.node.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { withArrays } from "../models/decoder-fixtures.ts";
import { readDecoderLayout } from "./layouts/index.ts";
import { loadDecoder } from "./load-decoder.ts";
import { generate, largestDifference, publishedIds, asGpt2, sortWords } from "./trained-fixtures.ts";

/** Logits of size 20 whose f32 sums are of another order, after five layers: some 100 roundings of 2⁻²⁴ of 20. */
const sumTolerance = 2e-4;

beforeAll(() => startJax());

describe.each([
  ["jax-js", undefined],
  ["fused kernels", new WasmEngine()],
])("on %s", (_, engine) => {
  describeWithSharedData("stories260K", "stories260K/stories260K.bin", (place) => {
    const ids = publishedIds(
      JSON.parse(readFileSync(new URL("../published.json", `file://${place}`), "utf8")),
    );

    test("generates its 200 published tokens, by the logits of the whole pass, whatever groups its heads are in", async () => {
      const weights = await openLlama2cWeights(place);
      const layout = readDecoderLayout({ ...weights.config, rope_interleaved: true });
      const { model, tensors } = await loadDecoder(weights, layout, { engine });
      const dot = "dot+rope:theta=10000,layout=interleaved+causal";
      const apart = [2, 6].map((heads) => ({ selector: dot, heads }));
      const { model: split } = await loadDecoder(weights, layout, {
        engine,
        attention: Array.from({ length: 5 }, () => apart),
      });
      await weights.close();
      await withArrays(tensors, async (arrays) => {
        const tokens = Int32Array.from([1, ...ids.slice(0, -1)]);
        const { data: whole } = await model.logits(arrays, tokens, 1);
        const { said, logits } = await generate(model, arrays, 1, ids.length);
        expect(said).toEqual(ids);
        expect(largestDifference(logits, whole)).toBeLessThan(sumTolerance);
        expect((await split.logits(arrays, tokens, 1)).data).toEqual(whole);
      });
      model.dispose();
      split.dispose();
    });
  });

  describeWithSharedData("nano-sort", "nano-sort/gpt-nano-sort-model.json", (place) => {
    test("sorts all words of six letters", async () => {
      const { config, weights } = asGpt2(await readNanoSort(place));
      const { model, tensors } = await loadDecoder(weights, readDecoderLayout(config), { engine });
      const { words, sorted } = await withArrays(tensors, (arrays) => sortWords(model, arrays, 1));
      model.dispose();
      expect(sorted).toEqual(words.map((word) => word.toSorted((a, b) => a - b)));
    });
  });
});
