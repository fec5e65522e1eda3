/** @file Finding the weights of a model, and whatever bytes a file has: it is read, or refused with an error of ours and no great memory. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeWithSharedData, sharedData } from "../../test/shared-data.ts";
import { readNanoSort } from "../../test/nano-sort.ts";
import { DomainError, MissingError, NumbersError, ShapeError } from "../base/errors.ts";
import { encodeSafetensors } from "./encode.ts";
import { wordingRule } from "./hostile-file.ts";
import { layLlama2c, smallLlama2cNumbers, smallLlama2cSizes, smallOnnx } from "./hostile-weights.ts";
import { openWeights } from "./open-weights.node.ts";

const files = {
  safetensors: encodeSafetensors({
    w: { data: Float32Array.of(1, 2), shape: [2], dtype: "BF16" },
    q: { data: Int8Array.of(3, 4), shape: [1, 2] },
  }),
  index: new TextEncoder().encode(
    '{"metadata":{"total_size":6},"weight_map":{"w":"a.safetensors","q":"a.safetensors"}}',
  ),
  onnx: smallOnnx(),
  llama2c: layLlama2c(smallLlama2cSizes, smallLlama2cNumbers),
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qklab-open-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function lay(contents: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await mkdir(join(folder, "onnx"), { recursive: true });
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder, name), bytes);
}

describe("where weights are found", () => {
  const { safetensors, index, onnx, llama2c } = files;
  test.each([
    [
      "Hugging Face's one file",
      { "model.safetensors": safetensors, "model.bin": llama2c },
      "",
      "safetensors",
    ],
    ["its shards", { "model.safetensors.index.json": index, "a.safetensors": safetensors }, "", "sharded"],
    ["transformers.js's ONNX", { "onnx/model_quantized.onnx": onnx, "tok512.bin": onnx }, "", "onnx"],
    [
      "the only safetensors",
      { "model.fp16.safetensors": safetensors, "config.json": index },
      "",
      "safetensors",
    ],
    ["the only .bin beside its tokenizer", { "stories.bin": llama2c, "tok512.bin": onnx }, "", "llama2c"],
    ["a file itself", { "model.safetensors": onnx, "a.bin": llama2c }, "a.bin", "llama2c"],
    [
      "an index itself",
      { "b.safetensors.index.json": index, "a.safetensors": safetensors },
      "b.safetensors.index.json",
      "sharded",
    ],
  ])("%s", async (_, contents, name, format) => {
    await lay(contents);
    const weights = await openWeights(join(folder, name));
    expect(weights.format).toBe(format);
    expect(weights.config?.hidden_size).toBe(format === "llama2c" ? 4 : undefined);
    await weights.close();
  });

  test.each([
    [
      "an empty folder",
      {},
      "",
      "weights-missing",
      "model.safetensors, model.safetensors.index.json, onnx/model_quantized.onnx",
    ],
    ["PyTorch's files alone", { "pytorch_model.bin": onnx }, "", "weights-missing", "must hold one of"],
    [
      "two of a kind",
      { "a.safetensors": safetensors, "b.safetensors": safetensors },
      "",
      "weights-ambiguous",
      '2, "a.safetensors", "b.safetensors"',
    ],
    [
      "a file of another name",
      { "model.gguf": onnx },
      "model.gguf",
      "weights-format",
      ".safetensors, .safetensors.index.json, .onnx, .bin",
    ],
    ["nothing at all", {}, "absent", "file-read", "absent"],
  ])("%s has none", async (_, contents, name, code, seen) => {
    await lay(contents);
    await expect(openWeights(join(folder, name))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(wordingRule),
    });
    await expect(openWeights(join(folder, name))).rejects.toThrow(seen);
  });
});

/** Opens a file and reads all of it, in both forms. */
async function readAll(path: string): Promise<void> {
  const weights = await openWeights(path);
  try {
    for (const name of weights.tensors.keys()) {
      await weights.read(name);
      await weights.readQuantised(name);
    }
  } finally {
    await weights.close();
  }
}

function isOurs(error: unknown): boolean {
  const classes = [DomainError, ShapeError, MissingError, NumbersError];
  return classes.some((kind) => error instanceof kind) && wordingRule.test((error as Error).message);
}

describe.each([
  ["safetensors", "m.safetensors", files.safetensors],
  ["an index", "m.safetensors.index.json", files.index],
  ["ONNX", "m.onnx", files.onnx],
  ["llama2.c", "m.bin", files.llama2c],
])("any bytes called %s", (_, name, whole) => {
  beforeEach(() => lay({ "a.safetensors": files.safetensors }));
  const headroomBytes = 2 ** 22;

  async function expectReadOrRefused(bytes: Uint8Array): Promise<"read" | "refused"> {
    const path = join(folder, name);
    await writeFile(path, bytes);
    const before = process.memoryUsage().arrayBuffers;
    const error = await readAll(path).catch((reason: unknown) => reason);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(headroomBytes);
    if (error === undefined) return "read";
    expect(error).toSatisfy(isOurs);
    return "refused";
  }

  test("cut anywhere are refused, and whole they are read", async () => {
    expect(await expectReadOrRefused(whole)).toBe("read");
    const step = Math.ceil(whole.length / 100);
    for (let length = 0; length < whole.length; length += step) {
      expect(await expectReadOrRefused(whole.subarray(0, length)), `${length} bytes`).toBe("refused");
    }
  });

  test("altered anywhere are read or refused, with no other error and no great memory", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        async (alterations) => {
          const altered = whole.slice();
          for (const [place, byte] of alterations) altered[place] = byte;
          await expectReadOrRefused(altered);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describeWithSharedData("nano-sort", "nano-sort/gpt-nano-sort-model.json", (path) => {
  test("its matrices are [out, in]: they turn the first norm into the queries, keys and values that are recorded", async () => {
    const weights = await readNanoSort(path);
    const { data: matrix, shape } = await weights.read("transformer.h.0.attn.c_attn.weight");
    const { data: bias } = await weights.read("transformer.h.0.attn.c_attn.bias");
    const partials = await readNanoSort(sharedData("nano-sort", "gpt-nano-sort-t0-partials.json")!);
    const { data: normed } = await partials.read("ln1");
    const { data: expected } = await partials.read("qkv");
    const [outs, ins] = shape;
    const rows = normed.length / ins;
    const worst = Math.max(
      ...Array.from({ length: rows * outs }, (_, place) => {
        const [row, out] = [Math.floor(place / outs), place % outs];
        let sum = bias[out];
        for (let at = 0; at < ins; at++) sum += normed[row * ins + at] * matrix[out * ins + at];
        return Math.abs(sum - expected[place]);
      }),
    );
    // float32 sums of 48 products of about 1 by 0.3.
    expect(worst).toBeLessThan(1e-5);
    expect(weights.tensors.has("transformer.h.0.attn.bias")).toBe(false);
  });
});
