/** @file The ONNX standard's RotaryEmbedding and TopK tests, by the parts that do the same here. */
import { expect, test } from "vitest";
import { rope, topk } from "../../src/index.ts";
import { rotate } from "../../src/attention/lifted-head.ts";
import { describeWithSharedData } from "../shared-data.ts";
import { readOnnxCases } from "./onnx-case.ts";

/** Two products and a sum in float32 on their side, rounded once on ours: 3 · 6e-8 of numbers up to 2. */
const ROTATION_TOLERANCE = 4e-7;

describeWithSharedData("RotaryEmbedding as ONNX defines it", "onnx/rotaryEmbedding.json", (file) => {
  const cases = readOnnxCases(file);

  test("there are 4 cases", () => {
    expect(cases).toHaveLength(4);
  });

  test.each(cases)("$name", ({ attributes, inputs, outputs }) => {
    const { interleaved = 0, rotary_embedding_dim } = attributes;
    const { input, cos_cache, sin_cache, position_ids } = inputs;
    const [batch, heads, count, width] = input.shape;
    const position = rope({
      layout: interleaved === 1 ? "interleaved" : "half",
      ...(rotary_embedding_dim === undefined ? {} : { dims: rotary_embedding_dim }),
    });
    const pairs = position.pairs(width);
    const rows = input.data.slice();
    for (let row = 0; row < batch * heads * count; row++) {
      const [entry, place] = [Math.floor(row / (heads * count)), row % count];
      // Without ids the caches have a row for every place of every batch entry.
      const cached =
        position_ids === undefined ? entry * count + place : position_ids.data[entry * count + place];
      const ofPlace = (cache: Float64Array): Float64Array =>
        cache.subarray(cached * pairs.length, (cached + 1) * pairs.length);
      const table = { cos: ofPlace(cos_cache.data), sin: ofPlace(sin_cache.data), pairs };
      rotate(rows.subarray(row * width, (row + 1) * width), width, table, 1);
    }
    const distance = rows.reduce(
      (largest, value, i) => Math.max(largest, Math.abs(value - outputs["output"].data[i])),
      0,
    );
    expect(distance).toBeLessThanOrEqual(ROTATION_TOLERANCE);
  });
});

describeWithSharedData("TopK as ONNX defines it", "onnx/topK.json", (file) => {
  const cases = readOnnxCases(file);

  test("there are 7 cases", () => {
    expect(cases).toHaveLength(7);
  });

  test.each(cases)("$name", ({ attributes, inputs, outputs }) => {
    const count = inputs["x"].shape.at(-1)!;
    const k = inputs["k"].data[0];
    const { largest = 1 } = attributes;
    const indices = outputs["indices"].data;
    for (let row = 0; row < indices.length / k; row++) {
      const scores = inputs["x"].data.slice(row * count, (row + 1) * count);
      const kept = topk({ k }).keep(largest === 1 ? scores : scores.map((score) => -score));
      const wanted = [...indices.subarray(row * k, (row + 1) * k)].sort((a, b) => a - b);
      expect(kept).toEqual(wanted);
    }
  });
});
