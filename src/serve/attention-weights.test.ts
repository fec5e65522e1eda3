/** @file The weights that a server shows, against the f64 reference on the model's own queries and keys. */
import { expect, test } from "vitest";
import { laidConfig, laidTensors } from "../language/laid-fixtures.ts";
import { attention } from "../attention/index.ts";
import { softmax } from "../normalisers/index.ts";
import { causal } from "../patterns/index.ts";
import { rope } from "../positions/index.ts";
import { dot } from "../similarities/index.ts";
import { memoryWeights } from "../checkpoints/index.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { loadDecoder, readDecoderLayout } from "../language/index.ts";
import { servedLaidModel } from "./serve-fixtures.ts";

/** Scores of heads of 16 products of size 1 in f32, through one layer: some 100 roundings of 2⁻²⁴. */
const tolerance = 1e-5;

test("are the softmax of the model's scores, head by head", async () => {
  const { attentions } = await servedLaidModel();
  const tokens = Int32Array.of(0x68, 0xe5, 0x78, 0x79, 0x68);
  const layout = readDecoderLayout(laidConfig);
  const { model, tensors } = await loadDecoder(memoryWeights(laidTensors()), layout);
  const arrays = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, arrayOf(tensor)]));
  const { layers } = await model.activations(arrays, tokens, 1);
  for (const [layer, { groups }] of layers.entries()) {
    const [{ q, k, v }] = groups;
    // Its selector, written out: the reference reads no string.
    expect(new Set(attentions.selectors[layer])).toEqual(new Set(["dot+rope:theta=10000+causal"]));
    const attend = attention({
      similarity: dot(),
      position: rope({ theta: 10_000 }),
      pattern: causal(),
      normaliser: softmax(),
    });
    const { weights } = await attend(q, k, v, { return: ["weights"] });
    const shown = await attentions.weights(tokens, layer);
    expect(shown).toHaveLength(4);
    for (const [head, found] of shown.entries()) {
      const wanted = weights!.data.subarray(head * 25, (head + 1) * 25);
      const worst = wanted.reduce((most, weight, at) => Math.max(most, Math.abs(weight - found![at])), 0);
      expect(worst).toBeLessThan(tolerance);
    }
    // A test of equal weights alone would not see a wrong head.
    expect(shown[0]).not.toEqual(shown[1]);
  }
  for (const array of Object.values(arrays)) array.dispose();
  model.dispose();
});
