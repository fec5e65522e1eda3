/** @file Safetensors on a disk: only what is asked for is read, and a checkpoint that others wrote reads as they do. */
import { appendFile, mkdtemp, open, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { layFile } from "./hostile-file.ts";
import { openSafetensors, readSafetensors, writeSafetensors } from "./safetensors-file.node.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qklab-safetensors-"));
  path = join(folder, "model.safetensors");
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

const q = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
const k = { data: Float32Array.of(5, 6), shape: [2] };

describe("files", () => {
  test("tensors and metadata that are written are read back", async () => {
    await writeSafetensors(path, { q, k }, { step: "3" });
    const { tensors, metadata } = await readSafetensors(path);
    expect([...tensors]).toEqual([
      ["k", { dtype: "F32", ...k }],
      ["q", { dtype: "F32", ...q }],
    ]);
    expect([...metadata]).toEqual([["step", "3"]]);
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
  });

  test("of a large file only the header and the tensor that is asked for are read", async () => {
    await writeSafetensors(path, { q, huge: { data: new Float32Array(250_000), shape: [250_000] } });
    const methods = Object.getPrototypeOf(await openAndClose(path)) as FileHandle;
    const reads = vi.spyOn(methods, "read");
    expect((await readSafetensors(path, ["q"])).tensors.get("q")?.data).toEqual(q.data);
    const bytesRead = await Promise.all(reads.mock.results.map(async ({ value }) => (await value).bytesRead));
    const largestPart = 1000;
    expect(bytesRead.reduce((sum, part) => sum + part, 0)).toBeLessThan(largestPart);
  });

  test("a disk that hands out a few bytes at a time makes no difference", async () => {
    await writeSafetensors(path, { q, k });
    const methods = Object.getPrototypeOf(await openAndClose(path)) as FileHandle;
    const { read } = methods as { read: (...parts: unknown[]) => Promise<{ bytesRead: number }> };
    vi.spyOn(methods, "read").mockImplementation(function slowly(this: FileHandle, ...parts: unknown[]) {
      const [bytes, start, length, place] = parts;
      return read.call(this, bytes, start, Math.min(Number(length), 3), place) as never;
    });
    expect((await readSafetensors(path)).tensors.get("q")?.data).toEqual(q.data);
  });

  test("an open file tells its entries, and reads what is asked until it is closed", async () => {
    await writeSafetensors(path, { q, k });
    const file = await openSafetensors(path);
    expect(file.entries.has("dout")).toBe(false);
    expect((await file.read("k")).data).toEqual(k.data);
    await file.close();
    await expect(file.read("k")).rejects.toMatchObject({ code: "file-read" });
  });

  test("what is written is what the tensors held at the call", async () => {
    const data = Float32Array.of(1);
    const written = writeSafetensors(path, { data: { data, shape: [1] } });
    data[0] = 2;
    await written;
    expect((await readSafetensors(path)).tensors.get("data")?.data).toEqual(Float32Array.of(1));
  });

  test("a tensor that cannot be written leaves the old file", async () => {
    await writeSafetensors(path, { q });
    const before = await readFile(path);
    await expect(writeSafetensors(path, { q: { ...q, shape: [5] } })).rejects.toMatchObject({
      code: "safetensors-shape",
    });
    expect(await readFile(path)).toEqual(before);
  });
});

describe("files that cannot be read", () => {
  test("a missing file is named", async () => {
    await expect(readSafetensors(path)).rejects.toMatchObject({
      name: "MissingError",
      code: "file-read",
      message: expect.stringContaining(path),
    });
  });

  test.each([
    ["a folder", () => folder],
    ["a device without an end", () => "/dev/zero"],
  ])("%s is refused before it is opened", async (_, place) => {
    await expect(readSafetensors(place())).rejects.toMatchObject({
      name: "MissingError",
      code: "file-read",
      message: expect.stringContaining("regular file"),
    });
  });

  test("an unknown tensor gets the nearest names, and nothing is read", async () => {
    await writeSafetensors(path, { query: q, key: k });
    await expect(readSafetensors(path, ["query", "keys"])).rejects.toMatchObject({
      name: "MissingError",
      code: "safetensors-name",
      message: expect.stringMatching(/model\.safetensors.*nearest are "key"/),
    });
  });

  test("a header of a gigabyte in a small file is refused without the room for it", async () => {
    await writeFile(path, layFile("{}", 0, 1n << 30n));
    const before = process.memoryUsage().arrayBuffers;
    await expect(readSafetensors(path)).rejects.toMatchObject({
      name: "DomainError",
      code: "safetensors-length",
      message: expect.stringContaining("model.safetensors"),
    });
    const headroomBytes = 2 ** 24;
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(headroomBytes);
  });

  test("a tensor of terabytes in a file with as many holes is refused when it is read", async () => {
    const sizeBytes = 2 ** 42;
    const header = `{"a":{"dtype":"U8","shape":[${sizeBytes}],"data_offsets":[0,${sizeBytes}]}}`;
    await writeFile(path, layFile(header, 0));
    await truncate(path, 8 + header.length + sizeBytes);
    await expect(readSafetensors(path)).rejects.toMatchObject({
      name: "UnsupportedError",
      code: "safetensors-memory",
    });
  });

  test("a file cut at any byte is refused, and none stays open", async () => {
    await writeSafetensors(path, { k });
    const whole = await readFile(path);
    const before = await lowestFreeDescriptor();
    for (let length = 0; length < whole.length; length++) {
      await truncate(path, 0);
      await appendFile(path, whole.subarray(0, length));
      await expect(readSafetensors(path), `${length} bytes`).rejects.toMatchObject({
        name: "DomainError",
        code: expect.stringMatching(/^safetensors-/),
      });
    }
    // Each file left open would take a descriptor; the test runner may hold a few of its own.
    expect((await lowestFreeDescriptor()) - before).toBeLessThan(whole.length / 2);
  });

  test("a file that shrinks after it was opened is refused", async () => {
    await writeSafetensors(path, { q, k });
    const file = await openSafetensors(path);
    await truncate(path, file.entries.get("q")!.begin + 3);
    await expect(file.read("q")).rejects.toMatchObject({
      name: "DomainError",
      code: "safetensors-length",
    });
    await file.close();
  });
});

async function openAndClose(place: string): Promise<FileHandle> {
  const handle = await open(place, "r");
  await handle.close();
  return handle;
}

async function lowestFreeDescriptor(): Promise<number> {
  const handle = await open(path, "r");
  const { fd } = handle;
  await handle.close();
  return fd;
}

describeWithSharedData("a checkpoint written by the Python library", "rwkv7-reverse", (data) => {
  const name = join(data, "260123_reverse_L2_only_rwkv7");

  test("its tensors have their shapes and only finite numbers", async () => {
    const { tensors } = await readSafetensors(`${name}.safetensors`);
    expect(tensors.get("e.weight")?.shape).toEqual([12, 32]);
    expect(tensors.get("rwkv1.w1")?.shape).toEqual([32, 8]);
    for (const { dtype, data: numbers } of tensors.values()) {
      expect(dtype).toBe("F32");
      expect((numbers as Float32Array).every(Number.isFinite)).toBe(true);
    }
  });

  test("PyTorch's own archive of the same model holds the bytes of every tensor", async () => {
    const archive = await readFile(`${name}.pth`);
    const { tensors } = await readSafetensors(`${name}.safetensors`);
    const absent = [...tensors].filter(([, tensor]) => !archive.includes(Buffer.from(tensor.data.buffer)));
    expect(tensors.size).toBeGreaterThan(0);
    expect(absent.map(([absentName]) => absentName)).toEqual([]);
  });

  test("written again it reads the same", async () => {
    const { tensors, metadata } = await readSafetensors(`${name}.safetensors`);
    const writable = new Map(
      [...tensors].map(([key, { data: numbers, shape }]) => [key, { data: numbers as Float32Array, shape }]),
    );
    await writeSafetensors(path, writable, metadata);
    const again = await readSafetensors(path);
    expect(Object.fromEntries(again.tensors)).toEqual(Object.fromEntries(tensors));
  });
});
