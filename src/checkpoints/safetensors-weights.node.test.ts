/** @file Safetensors as a source of weights: every type becomes float32, in one shard or many, and only what is asked for is read. */
import { mkdtemp, open, readFile, rm, truncate, unlink, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { bytesOf, joined } from "./hostile-weights.ts";
import { layFile } from "./hostile-file.ts";
import { chunkBytes } from "./read-floats.node.ts";
import { writeSafetensors } from "./safetensors-file.node.ts";
import { openSafetensorsWeights } from "./safetensors-weights.node.ts";
import { openShardedWeights } from "./sharded-weights.node.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qklab-weights-"));
  path = join(folder, "model.safetensors");
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

describe("one file", () => {
  test.each([
    ["F64", new Uint8Array(Float64Array.of(0.1, -3).buffer), [Math.fround(0.1), -3]],
    ["F32", bytesOf(Float32Array.of(0.1, -3)), [Math.fround(0.1), -3]],
    ["F16", Uint8Array.of(0x00, 0x3e, 0x01, 0x80), [1.5, -(2 ** -24)]],
    ["BF16", Uint8Array.of(0xc0, 0x3f, 0x00, 0xc1), [1.5, -8]],
    ["I64", bytesOf(BigInt64Array.of(-5n, 7n)), [-5, 7]],
    ["I32", bytesOf(Int32Array.of(-5, 7)), [-5, 7]],
    ["I8", Uint8Array.of(0x80, 0x7f), [-128, 127]],
    ["U8", Uint8Array.of(0x80, 0x7f), [128, 127]],
    ["BOOL", Uint8Array.of(1, 0), [1, 0]],
  ])("%s is read as float32", async (dtype, bytes, values) => {
    const header = `{"w":{"dtype":"${dtype}","shape":[1,2],"data_offsets":[0,${bytes.length}]}}`;
    await writeFile(path, joined([layFile(header, 0), bytes]));
    const weights = await openSafetensorsWeights(path);
    expect(weights.tensors.get("w")).toMatchObject({ dtype, shape: [1, 2] });
    expect(await weights.read("w")).toEqual({ shape: [1, 2], data: Float32Array.from(values) });
    const quantised = await weights.readQuantised("w");
    const isBytes = dtype === "I8" || dtype === "U8";
    expect(quantised).toEqual(
      isBytes
        ? {
            data: (dtype === "I8" ? Int8Array : Uint8Array).from(values),
            shape: [1, 2],
            scale: 1,
            zeroPoint: 0,
          }
        : undefined,
    );
    await weights.close();
    await expect(weights.read("w")).rejects.toMatchObject({ code: "file-read" });
  });

  test("what is longer than a chunk has no seam, and an error names its place in the tensor", async () => {
    const count = chunkBytes / 2 + 3;
    const data = Float32Array.from({ length: count }, (_, place) => (place % 2048) - 1024);
    const doubles = new Float64Array(count);
    doubles[chunkBytes / 8 + 1] = 1e300;
    await writeSafetensors(path, {
      half: { data, shape: [count], dtype: "F16" },
      doubles: { data: doubles, shape: [count] },
    });
    const weights = await openSafetensorsWeights(path);
    // Not toEqual, which takes seconds for so many.
    const { data: read } = await weights.read("half");
    expect(read).toHaveLength(count);
    expect(read.findIndex((value, place) => value !== data[place])).toBe(-1);
    await expect(weights.read("doubles")).rejects.toMatchObject({
      name: "NumbersError",
      code: "float32-overflow",
      message: expect.stringContaining(`1e+300 at element ${chunkBytes / 8 + 1}`),
    });
    await weights.close();
  });

  test("only the header and the bytes of the tensor are read, and beside it one chunk is in memory", async () => {
    const count = 2 ** 22;
    const shape = [count];
    await writeSafetensors(path, {
      wanted: { data: new Float32Array(count), shape, dtype: "F16" },
      other: { data: new Float32Array(count), shape },
    });
    const reads = vi.spyOn(Object.getPrototypeOf(await anyHandle()) as FileHandle, "read");
    const weights = await openSafetensorsWeights(path);
    const before = process.memoryUsage().arrayBuffers;
    await weights.read("wanted");
    const grown = process.memoryUsage().arrayBuffers - before;
    await weights.close();
    const headerBytes = 1000;
    const bytesRead = await Promise.all(reads.mock.results.map(async ({ value }) => (await value).bytesRead));
    expect(bytesRead.reduce((sum, part) => sum + part, 0)).toBeLessThan(2 * count + headerBytes);
    // The tensor and the chunk; a copy of the file's bytes would be eight chunks more.
    expect(grown).toBeLessThan(4 * count + 2 * chunkBytes);
  });

  test("an unknown name gets the nearest", async () => {
    await writeSafetensors(path, { "wte.weight": { data: Float32Array.of(1), shape: [1] } });
    const weights = await openSafetensorsWeights(path);
    for (const read of [weights.read, weights.readQuantised]) {
      await expect(read("wpe.weight")).rejects.toMatchObject({
        name: "DomainError",
        code: "weight-unknown",
        message: expect.stringContaining('nearest are "wte.weight"'),
      });
    }
    await weights.close();
  });
});

describe("several files", () => {
  const first = "model-00001-of-00002.safetensors";
  const second = "model-00002-of-00002.safetensors";
  let index: string;
  beforeEach(async () => {
    index = join(folder, "model.safetensors.index.json");
    await writeSafetensors(join(folder, first), { q: { data: Float32Array.of(1, 2), shape: [2] } });
    await writeSafetensors(join(folder, second), {
      k: { data: Int8Array.of(-3, 4), shape: [1, 2] },
      unused: { data: Float32Array.of(9), shape: [1] },
    });
    await writeIndex({ metadata: { total_size: 10 }, weight_map: { q: first, k: second } });
  });
  const writeIndex = (value: unknown): Promise<void> => writeFile(index, JSON.stringify(value));

  test("are one source, of what the index names", async () => {
    const weights = await openShardedWeights(index);
    expect([...weights.tensors.keys()]).toEqual(["q", "k"]);
    expect(await weights.read("q")).toEqual({ shape: [2], data: Float32Array.of(1, 2) });
    expect((await weights.readQuantised("k"))?.data).toEqual(Int8Array.of(-3, 4));
    await expect(weights.read("unused")).rejects.toMatchObject({ code: "weight-unknown" });
    await weights.close();
    await expect(weights.read("k")).rejects.toMatchObject({ code: "file-read" });
  });

  test("a missing one is named, and those that are there do not stay open", async () => {
    await unlink(join(folder, second));
    const before = await lowestFreeDescriptor();
    const attempts = 20;
    for (let attempt = 0; attempt < attempts; attempt++) {
      await expect(openShardedWeights(index)).rejects.toMatchObject({
        name: "MissingError",
        code: "shard-missing",
        message: expect.stringMatching(
          /all of its 2 files .* 1 missing, "model-00002-of-00002\.safetensors"/,
        ),
      });
    }
    // Each file left open would take a descriptor; the test runner may hold a few of its own.
    expect((await lowestFreeDescriptor()) - before).toBeLessThan(attempts / 2);
  });

  test("one of which half was fetched is named", async () => {
    const whole = await readFile(join(folder, second));
    await truncate(join(folder, second), whole.length - 1);
    await expect(openShardedWeights(index)).rejects.toMatchObject({
      name: "DomainError",
      code: "safetensors-offsets",
      message: expect.stringContaining(second),
    });
  });

  test("one that lacks a tensor of the index is named with it", async () => {
    await writeIndex({ weight_map: { q: first, v: second } });
    await expect(openShardedWeights(index)).rejects.toMatchObject({
      name: "DomainError",
      code: "index-tensor",
      message: expect.stringMatching(/model-00002-of-00002\.safetensors without "v"/),
    });
  });

  test.each([
    ["no JSON", "{", "must be JSON"],
    ["no object", "[1]", "JSON that is no object"],
    ["no map", "{}", "must have an object weight_map"],
    ["a list for a map", '{"weight_map":["q"]}', "must have an object weight_map"],
    ["a number for a file", '{"weight_map":{"q":1}}', '"q" in "1"'],
    ["a file of another folder", '{"weight_map":{"q":"../x.safetensors"}}', "of the same folder"],
    ["an absolute path", '{"weight_map":{"q":"/etc/x.safetensors"}}', "of the same folder"],
    ["a path of Windows", '{"weight_map":{"q":"..\\\\x.safetensors"}}', "of the same folder"],
    ["a drive of Windows", '{"weight_map":{"q":"c:x.safetensors"}}', "of the same folder"],
    ["a file of another kind", '{"weight_map":{"q":"passwd"}}', "of the same folder"],
    [
      "a thousand files and one",
      JSON.stringify({
        weight_map: Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [at, `${at}.safetensors`])),
      }),
      "at most 1000 files",
    ],
  ])("an index with %s is refused", async (_, text, seen) => {
    await writeFile(index, text);
    await expect(openShardedWeights(index)).rejects.toMatchObject({
      name: "DomainError",
      code: "index-form",
      message: expect.stringContaining(seen),
    });
  });

  test("an index of gigabytes is refused before it is read", async () => {
    await truncate(index, 2 ** 34);
    await expect(openShardedWeights(index)).rejects.toMatchObject({ code: "index-form" });
  });
});

async function lowestFreeDescriptor(): Promise<number> {
  const handle = await open(folder, "r");
  const { fd } = handle;
  await handle.close();
  return fd;
}

async function anyHandle(): Promise<FileHandle> {
  const handle = await open(folder, "r");
  await handle.close();
  return handle;
}
