/** @file all-MiniLM-L6-v2: the cosines and numbers that its documentation has, and another space of attention in its place. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { openWeights } from "../checkpoints/open-weights.node.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { withArrays } from "../models/decoder-fixtures.ts";
import { huggingFaceTokenizer } from "../text/index.ts";
import { readEncoderLayout } from "./layouts/index.ts";
import { loadEncoder } from "./load-decoder.ts";
import { minilmFiles } from "./minilm.node.ts";

/** The cosines are documented with four digits, of float32 weights: those of the package are rounded to F16. */
const cosineTolerance = 2e-4;
/** Numbers of size 0.08 from weights with 11 bits: 2⁻¹² of their size, and the roundings of six layers average out. */
const numberTolerance = 1e-4;

beforeAll(() => startJax());

const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
const files = await minilmFiles().catch(() => undefined);

describeWithSharedData("all-MiniLM-L6-v2", "published.json", (place) => {
  const { minilm } = read(place) as {
    readonly minilm: {
      readonly sentences: readonly string[];
      readonly cos: readonly (readonly number[])[];
      readonly first5: { readonly sentence: string; readonly values: readonly number[] };
    };
  };
  const embed = async (
    engine: WasmEngine | undefined,
    attention?: string,
  ): Promise<readonly Float32Array[]> => {
    const { weights: path, config, tokenizer: words } = files!;
    const weights = await openWeights(path);
    const loaded = await loadEncoder(weights, readEncoderLayout(read(config)), {
      engine,
      ...(attention === undefined ? {} : { attention }),
    });
    await weights.close();
    const tokenizer = huggingFaceTokenizer({ tokenizer: read(words) });
    const sentences = [...minilm.sentences, minilm.first5.sentence].map((sentence) =>
      Int32Array.from(tokenizer.encode(sentence)),
    );
    const { data } = await withArrays(loaded.tensors, (arrays) => loaded.model.embed(arrays, sentences));
    loaded.model.dispose();
    return sentences.map((_, index) => data.slice(384 * index, 384 * (index + 1)));
  };
  const cosine = (one: Float32Array, other: Float32Array): number =>
    one.reduce((sum, value, at) => sum + value * other[at], 0);

  describe.each([
    ["jax-js", undefined],
    ["fused kernels", new WasmEngine()],
  ])("on %s", (_, engine) => {
    test.skipIf(files === undefined)("gives its documented cosines and numbers", async () => {
      const rows = await embed(engine);
      minilm.cos.forEach((expected, i) =>
        expected.forEach((value, j) =>
          expect(Math.abs(cosine(rows[i], rows[j]) - value)).toBeLessThan(cosineTolerance),
        ),
      );
      minilm.first5.values.forEach((value, at) =>
        expect(Math.abs(rows[3][at] - value)).toBeLessThan(numberTolerance),
      );
    });
  });

  test.skipIf(files === undefined)("says something else with another attention", async () => {
    const [[first], [other]] = [await embed(undefined), await embed(undefined, "l2+learned+full")];
    expect(Math.hypot(...other)).toBeCloseTo(1, 5);
    expect(cosine(first, other)).toBeLessThan(0.99);
  });
});
