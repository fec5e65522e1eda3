/** @file BERT against its f64 form, on both of what computes attentions: rows, gradients, sentences of any lengths. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { initialParameters, referenceForward } from "../attention/index.ts";
import { Tape, lossStage } from "../autodiff/index.ts";
import { type Tensor64, tensor64, widen } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/start.ts";
import { exactGelu } from "../kernels/reference/gelu.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { nope } from "../positions/index.ts";
import { bert, type Bert, type BertConfig } from "./bert.ts";
import { withArrays } from "./decoder-fixtures.ts";
import { livelyTensors, type Tensors } from "./model-fixtures.ts";

/** Rows of LayerNorm are of size 3 and sums of at most 16 f32 products: some 100 roundings of 2⁻²⁴ of 3. */
const rowTolerance = 2e-5;
/** A slope of size 10 by differences of f64 rows, against f32 sums of a hundred products. */
const slopeTolerance = 1e-4;

const config: BertConfig = {
  vocabulary: 11,
  width: 8,
  layers: 2,
  heads: 2,
  hidden: 12,
  normEpsilon: 0.125,
  attention: [
    "dot+learned+full",
    [
      { selector: "dot+learned+full", heads: 1 },
      { selector: "l2+learned+full", heads: 1 },
    ],
  ],
  maximumLength: 5,
};
const tokens = Int32Array.of(3, 0, 7, 10, 2, 2, 9, 1);
const types = Int32Array.of(0, 0, 1, 1, 0, 1, 1, 1);

beforeAll(() => startJax());

type Rows = readonly (readonly number[])[];

/** Rows of one sequence, in f64. */
function encodeInF64(
  { config: { width, heads, groups, normEpsilon } }: Bert,
  tensors: Tensors,
  at: number,
): Rows {
  const row = (name: string, index: number): number[] =>
    Array.from(tensors[name].data.subarray(index * width, (index + 1) * width));
  const add = (rows: Rows, others: Rows): Rows =>
    rows.map((one, m) => one.map((value, d) => value + others[m][d]));
  const linear = (rows: Rows, name: string): Rows => {
    const { data, shape } = tensors[`${name}.weight`];
    const bias = tensors[`${name}.bias`].data;
    return rows.map((one) =>
      Array.from({ length: shape[0] }, (_, out) =>
        one.reduce((sum, value, d) => sum + value * data[out * shape[1] + d], bias[out]),
      ),
    );
  };
  const norm = (rows: Rows, name: string): Rows =>
    rows.map((one) => {
      const mean = one.reduce((a, b) => a + b) / width;
      const variance = one.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      const [gain, shift] = ["weight", "bias"].map((kind) => tensors[`${name}.${kind}`].data);
      return one.map((value, d) => ((value - mean) / Math.sqrt(variance + normEpsilon)) * gain[d] + shift[d]);
    });
  const places = [0, 1, 2, 3];
  let x: Rows = places.map((place) => {
    const parts = [
      row("model.embed_tokens.weight", tokens[at + place]),
      row("model.embed_positions.weight", place),
      row("model.embed_types.weight", types[at + place]),
    ];
    return parts[0].map((value, d) => value + parts[1][d] + parts[2][d]);
  });
  x = norm(x, "model.embed_norm");
  const headWidth = width / heads;
  groups.forEach((ofLayer, layer) => {
    const prefix = `model.layers.${layer}`;
    const projected = (part: string): Rows => linear(x, `${prefix}.self_attn.${part}_proj`);
    const [q, k, v] = ["q", "k", "v"].map(projected);
    const joined: number[][] = places.map(() => []);
    let first = 0;
    for (const group of ofLayer) {
      if ("recurrence" in group) throw new Error("a test of attentions");
      const cut = (rows: Rows): Tensor64 =>
        tensor64(
          Array.from({ length: group.heads }, (_, head) =>
            rows.map((one) => one.slice((first + head) * headWidth, (first + head + 1) * headWidth)),
          ).flat(2),
          [1, group.heads, 4, headWidth],
        );
      const composition = { ...group.composition, position: nope() };
      const parameters = initialParameters(composition, { heads: group.heads, width: headWidth });
      const { data } = referenceForward(composition, { q: cut(q), k: cut(k), v: cut(v), parameters }).out;
      for (let head = 0; head < group.heads; head++) {
        for (const place of places) {
          const start = (head * 4 + place) * headWidth;
          joined[place].push(...data.subarray(start, start + headWidth));
        }
      }
      first += group.heads;
    }
    x = norm(add(x, linear(joined, `${prefix}.self_attn.o_proj`)), `${prefix}.post_attention_layernorm`);
    const raised = linear(x, `${prefix}.mlp.up_proj`).map((one) => one.map(exactGelu));
    x = norm(add(x, linear(raised, `${prefix}.mlp.down_proj`)), `${prefix}.post_feedforward_layernorm`);
  });
  return x;
}

const bothInF64 = (model: Bert, tensors: Tensors): number[] =>
  [0, 4].flatMap((at) => encodeInF64(model, tensors, at).flat());

describe.each([
  ["jax-js", undefined],
  ["fused kernels", new WasmEngine()],
])("BERT on %s", (_, engine) => {
  test("has the rows and gradients of its f64 form", async () => {
    const model = bert(config, { engine });
    const tensors = livelyTensors(model, 3);
    const expected = bothInF64(model, tensors);
    const weights = Float64Array.from(expected, (__, at) => Math.sin(1 + at));
    const weigh = lossStage("weigh", ({ x, w }) => ({ loss: np.sum(x.mul(w)) }));
    const { rows, gradients } = await withArrays(tensors, async (arrays) => {
      const { data } = await model.encode(arrays, { tokens, batch: 2, types });
      const tape = new Tape();
      const x = await model.run(tape, arrays, { tokens, batch: 2, types });
      const w = tape.constant(np.array(Float32Array.from(weights), { shape: [2, 4, 8] }));
      const found = await tape.backward((await tape.run(weigh, { x, w })).loss);
      tape.dispose();
      const read = Object.entries(found).map(
        async ([name, array]) => [name, (await array.data()) as Float32Array] as const,
      );
      return { rows: data, gradients: new Map(await Promise.all(read)) };
    });
    weigh.dispose();
    const worst = expected.reduce((most, value, at) => Math.max(most, Math.abs(value - rows[at])), 0);
    expect(worst).toBeLessThan(rowTolerance);
    for (const { name } of model.parameters) {
      const gradient = gradients.get(name)!;
      const along = Float64Array.from(gradient, (value, at) => (value < 0 ? -1 : 1) / (1 + (at % 3)));
      const norm = Math.hypot(...along);
      const [up, down] = [1e-5, -1e-5].map((step) => {
        const { data, shape } = widen(tensors[name]);
        const moved = { data: data.map((value, at) => value + (step * along[at]) / norm), shape };
        return bothInF64(model, { ...tensors, [name]: moved }).reduce(
          (sum, y, at) => sum + y * weights[at],
          0,
        );
      });
      const slope = (up - down) / 2e-5;
      const found = gradient.reduce((sum, value, at) => sum + (value * along[at]) / norm, 0);
      const error = Math.abs(slope - found) / Math.max(1, Math.abs(slope));
      expect([name, error < slopeTolerance]).toEqual([name, true]);
    }
    model.dispose();
  });
});

test("sentences of several lengths are means of their rows at unit length, in their order", async () => {
  const model = bert({ ...config, attention: "cosine:beta=learned+learned+full" });
  await withArrays(livelyTensors(model, 1), async (arrays) => {
    const sentences = [[3, 4, 5], [7, 1], [10, 0, 2], [6]].map((ids) => Int32Array.from(ids));
    const { data, shape } = await model.embed(arrays, sentences);
    expect(shape).toEqual([4, 8]);
    for (const [index, ids] of sentences.entries()) {
      const rows = await model.encode(arrays, { tokens: ids, batch: 1 });
      const sum = Array.from({ length: 8 }, (_, d) =>
        ids.reduce((total, __, place) => total + rows.data[place * 8 + d], 0),
      );
      const norm = Math.hypot(...sum);
      sum.forEach((value, d) =>
        expect(Math.abs(value / norm - data[index * 8 + d])).toBeLessThan(rowTolerance),
      );
    }
    await expect(model.embed(arrays, [new Int32Array(6)])).rejects.toThrow("from 1 to 5: 6 tokens");
    await expect(model.embed(arrays, [Int32Array.of(11)])).rejects.toThrow(
      "every token must be a whole number from 0 to 10: 11",
    );
    const strange = { tokens, batch: 2, types: types.with(0, 2) };
    await expect(model.encode(arrays, strange)).rejects.toThrow(
      "every type must be a whole number from 0 to 1: 2",
    );
  });
  model.dispose();
  expect(() => bert({ ...config, heads: 3 })).toThrow("the heads must divide the width: 3 and 8");
  expect(() => bert({ ...config, widht: 3 } as never)).toThrow("Did you mean 'width'");
});
