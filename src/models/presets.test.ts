/** @file The presets: the configuration that each stands for, and what makes it itself. */
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../kernels/jax/start.ts";
import { differencesFromF64, withArrays } from "./decoder-fixtures.ts";
import { decoder } from "./decoder.ts";
import { linearTransformer, type PresetConfig } from "./linear-transformer.ts";
import { livelyTensors, randomBatch } from "./model-fixtures.ts";
import { performerDecoder } from "./performer.ts";

const sizes: PresetConfig = { vocabulary: 11, width: 8, layers: 1, heads: 2, maximumLength: 16 };

beforeAll(() => startJax());

test("a linear Transformer is a decoder of one selector, with the f64 form of it", async () => {
  const model = linearTransformer(sizes, { map: "taylor2" });
  expect(model.config).toMatchObject({
    attention: "linear:map=taylor2+sinusoidal",
    norm: "layer",
    feedForward: "gelu",
  });
  expect(await differencesFromF64(model, livelyTensors(model, 1), randomBatch(11, 1, 5))).toEqual([]);
  model.dispose();
  expect(linearTransformer({ ...sizes, norm: "rms" }).config).toMatchObject({ norm: "rms" });
});

test("a Performer with the weights of a softmax decoder has its logits, the nearer the more features", async () => {
  const exact = decoder({ ...sizes, norm: "layer", feedForward: "gelu", attention: "dot+learned+causal" });
  const tensors = livelyTensors(exact, 1, 1);
  const { tokens } = randomBatch(11, 1, 12);
  const logits = async (model: typeof exact): Promise<Float32Array> =>
    withArrays(tensors, async (arrays) => (await model.logits(arrays, tokens, 1)).data);
  const wanted = await logits(exact);
  const errors: number[] = [];
  for (const features of [4, 1024]) {
    const model = performerDecoder(sizes, { features, seed: 5 });
    expect(model.parameters.map(({ name }) => name)).toEqual(exact.parameters.map(({ name }) => name));
    const found = await logits(model);
    errors.push(Math.hypot(...found.map((value, at) => value - wanted[at])));
    model.dispose();
  }
  exact.dispose();
  // An error that falls as m^(−½) falls by 16; a quarter of that leaves room for the luck of one draw of 4.
  expect(errors[1]).toBeLessThan(errors[0] / 4);
});
