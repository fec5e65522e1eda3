/** @file How an RWKV begins: the published numbers at the ends of channels and layers, orthogonal matrices, and layers that add nothing. */
import { expect, test } from "vitest";
import { type RwkvRule, rwkvRules } from "./rwkv-config.ts";
import { rwkvDecoder, type RwkvDecoder } from "./rwkv-decoder.ts";
import { rwkvInF64 } from "./rwkv-fixtures.ts";

const make = (rule: RwkvRule): RwkvDecoder =>
  rwkvDecoder({ rule, vocabulary: 11, width: 8, layers: 2, heads: 2, maximumLength: 8 });
const tensorsOf = (model: RwkvDecoder) =>
  Object.fromEntries(model.parameters.map(({ name, initial }) => [name, initial(1)]));

/** First and last number of a tensor, by the formulas of BlinkDL/RWKV-LM at channels 0 and 7 of 8 in layers 0 and 1 of 2. */
const published: readonly (readonly [RwkvRule, string, number, number])[] = [
  ["rwkv4", "blocks.0.att.time_decay", -5, 3],
  ["rwkv4", "blocks.1.att.time_first", Math.log(0.3), Math.log(0.3) + 0.5],
  ["rwkv4", "blocks.0.att.time_mix_r", 0, (7 / 8) ** 0.5],
  ["rwkv5", "blocks.1.att.time_decay", -6, -1],
  ["rwkv5", "blocks.1.att.time_faaaa", 1, 0.1],
  ["rwkv5", "blocks.1.att.time_mix_v", 0.3, (7 / 8) ** 0.5 + 0.3],
  ["rwkv5", "blocks.0.att.ln_x.weight", 0.5 ** 0.7, 0.5 ** 0.7],
  ["rwkv6", "blocks.1.att.time_maa_v", 0.7, 0.7 - (7 / 8) ** 0.5],
  ["rwkv6", "blocks.0.ffn.time_maa_r", 1, 1 - 7 / 8],
  ["rwkv7", "blocks.0.att.w0", -8, 3],
  ["rwkv7", "blocks.0.att.a0", -0.69, 0.31],
  ["rwkv7", "blocks.1.att.v0", 0.93, 0.53],
  ["rwkv7", "blocks.1.att.x_r", 1, 1 - (7 / 8) ** 0.1],
  ["rwkv7", "blocks.1.att.k_k", 0.76, 0.66],
  ["rwkv7", "blocks.1.ffn.x_k", 1, 1 - (7 / 8) ** (1 / 16)],
];

test.each(published)("%s: %s goes from %f to %f", (rule, name, first, last) => {
  const model = make(rule);
  const { data } = tensorsOf(model)[name];
  expect(data[0]).toBeCloseTo(first, 6);
  expect(data.at(-1)).toBeCloseTo(last, 6);
  model.dispose();
});

test.each(rwkvRules)("a new %s is its embedding and its head", (rule) => {
  const model = make(rule);
  const tensors = tensorsOf(model);
  const tokens = [3, 1, 4, 1, 5];
  const { rows } = rwkvInF64(model.config, tensors, tokens);
  const alone = rwkvInF64({ ...model.config, layers: 0 }, tensors, tokens);
  expect(rows).toEqual(alone.rows);
  expect(new Set(rows.map(String)).size).toBe(4);
  model.dispose();
});

test("matrices are orthogonal, by rows or columns, and networks of rank 32 lie between the widths", () => {
  const model = make("rwkv7");
  const tensors = tensorsOf(model);
  for (const [name, gain] of [
    ["blocks.0.att.receptance.weight", 1],
    ["blocks.0.att.key.weight", 0.1],
    ["blocks.1.ffn.key.weight", 1],
    ["blocks.1.att.w2", 0.1 * Math.sqrt(32 / 8)],
    ["head.weight", 0.5 * Math.sqrt(11 / 8)],
  ] as const) {
    const { data, shape } = tensors[name];
    const [rows, columns] = shape;
    for (let one = 0; one < columns; one++) {
      for (let other = 0; other < columns; other++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += data[row * columns + one] * data[row * columns + other];
        expect(sum).toBeCloseTo(one === other ? gain ** 2 : 0, 6);
      }
    }
  }
  expect(tensors["blocks.0.att.g1"].shape).toEqual([8, 32]);
  expect(tensors).not.toHaveProperty(["blocks.0.att.v1"]);
  model.dispose();
});
