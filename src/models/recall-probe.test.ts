import { beforeAll, describe, expect, test } from "vitest";
import { compose, referenceForward } from "../attention/index.ts";
import { random } from "../base/random.ts";
import { tensor64 } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/start.ts";
import { causal } from "../patterns/index.ts";
import { l2 } from "../similarities/index.ts";
import { recallVectors, valueTable } from "../tasks/index.ts";
import { livelyTensors, toArrays } from "./model-fixtures.ts";
import { recallProbe, type VectorBatch } from "./recall-probe.ts";

/** Losses of size 5 from f32 sums of some 20 products: a few 2⁻²⁴ of each. */
const tolerance = 2e-5;

const [pairs, keyWidth, valueWidth, headWidth] = [3, 4, 5, 6];
const values = valueTable(7, valueWidth, random(1, "recall", "values"));

function makeBatch(batch: number): VectorBatch {
  const { positions, ...made } = recallVectors(
    { pairs, keyWidth, batch },
    values,
    random(1, "recall", "test", 0),
  );
  return {
    ...made,
    batch,
    positions: positions.map((place, query) => Math.floor(query / pairs) * 2 * pairs + place),
  };
}

beforeAll(() => startJax());

describe("the recall probe", () => {
  test("is o(attend(q, k, v)) against the table of values, as in f64", async () => {
    const probe = recallProbe({ selector: "l2:beta=learned+causal", keyWidth, headWidth, values });
    const tensors = livelyTensors(probe, 2, 1);
    const batch = makeBatch(1);
    const arrays = toArrays(tensors);
    const { losses, predicted } = await probe.evaluate(arrays, batch);
    for (const array of Object.values(arrays)) array.dispose();
    probe.dispose();

    const width = keyWidth + valueWidth;
    const product = (x: ArrayLike<number>, weight: ArrayLike<number>, inner: number): number[] =>
      Array.from({ length: (x.length / inner) * (weight.length / inner) }, (_, flat) => {
        const [row, column] = [Math.floor(flat / (weight.length / inner)), flat % (weight.length / inner)];
        let sum = 0;
        for (let d = 0; d < inner; d++) sum += x[row * inner + d] * weight[column * inner + d];
        return sum;
      });
    const projected = (part: string, columns: number): ReturnType<typeof tensor64> =>
      tensor64(product(batch.inputs, tensors[`probe.${part}_proj.weight`].data, width), [
        1,
        1,
        2 * pairs,
        columns,
      ]);
    const { out } = referenceForward(compose({ similarity: l2({ beta: "learned" }), pattern: causal() }), {
      q: projected("q", headWidth),
      k: projected("k", headWidth),
      v: projected("v", valueWidth),
      parameters: { beta: tensor64(tensors["probe.log_beta"].data.map(Math.exp), [1]) },
    });
    const read = product(out.data, tensors["probe.o_proj.weight"].data, valueWidth);
    const logits = product(read, values.rows, valueWidth);
    batch.positions.forEach((place, query) => {
      const row = logits.slice(place * 7, (place + 1) * 7);
      const mass = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      expect(Math.abs(losses[query] - (Math.log(mass) - row[batch.targets[query]]))).toBeLessThan(tolerance);
      expect(predicted[query]).toBe(row.indexOf(Math.max(...row)));
    });
  });

  test("counts its state by its own value width", () => {
    const state = (selector: string): number =>
      recallProbe({ selector, keyWidth, headWidth, heads: 2, values }).stateBytes(10);
    expect(state("dot+causal")).toBe(10 * 2 * (headWidth + valueWidth) * 4);
    expect(state("dot+causal+none")).toBe(2 * headWidth * valueWidth * 4);
  });

  test("refuses positions of embeddings, and batches of other sizes", async () => {
    expect(() => recallProbe({ selector: "dot+learned+causal", keyWidth, headWidth, values })).toThrow(
      "its inputs are vectors",
    );
    const probe = recallProbe({ selector: "dot+causal", keyWidth, headWidth, values });
    const arrays = toArrays(livelyTensors(probe, 1));
    const batch = makeBatch(2);
    await expect(probe.evaluate(arrays, { ...batch, batch: 5 })).rejects.toThrow(
      "as many targets as positions",
    );
    for (const array of Object.values(arrays)) array.dispose();
    probe.dispose();
  });
});
