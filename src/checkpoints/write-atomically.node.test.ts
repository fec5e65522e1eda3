/** @file Atomic writing: the target is the old file or the new one in full, whatever fails, and nothing else stays. */
import { randomBytes } from "node:crypto";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { writeFileAtomically } from "./write-atomically.node.ts";

let folder: string;
let target: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qklab-atomic-"));
  target = join(folder, "target.bin");
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

type Method = (this: FileHandle, ...parts: unknown[]) => Promise<void>;

/**
 * Replaces a method of every open file until the test ends; `replacement` gets the file and the original. The class of
 * open files is not exported, so it is reached through one of them.
 */
async function replaceMethod(
  name: "writeFile" | "sync",
  replacement: (handle: FileHandle, original: Method) => Promise<void>,
): Promise<void> {
  const handle = await open(folder, "r");
  await handle.close();
  const methods = Object.getPrototypeOf(handle) as FileHandle;
  const original = Reflect.get(methods, name) as Method;
  vi.spyOn(methods, name).mockImplementation(function replaced(this: FileHandle) {
    return replacement(this, original);
  });
}

async function afterEachFlush(act: (handle: FileHandle) => Promise<unknown>): Promise<void> {
  await replaceMethod("sync", async (handle, flush) => {
    await flush.call(handle);
    await act(handle);
  });
}

async function failOnFolder(handle: FileHandle, code: string): Promise<void> {
  if ((await handle.stat()).isDirectory()) throw failure(code);
}

const failure = (code: string): Error => Object.assign(new Error(`${code}: as simulated`), { code });

describe("writing", () => {
  test("bytes and text are stored exactly, and no other file stays", async () => {
    const bytes = Uint8Array.from(randomBytes(100_000));
    await writeFileAtomically(target, bytes);
    expect(new Uint8Array(await readFile(target))).toEqual(bytes);
    await writeFileAtomically(target, "grüße 🦉\n");
    expect(await readFile(target, "utf8")).toBe("grüße 🦉\n");
    expect(await readdir(folder)).toEqual(["target.bin"]);
  });

  test("only the given part of a larger buffer is stored", async () => {
    await writeFileAtomically(target, Uint8Array.of(1, 2, 3, 4).subarray(1, 3));
    expect([...(await readFile(target))]).toEqual([2, 3]);
  });

  test("the mode of the old file is kept", async () => {
    await writeFile(target, "old");
    await chmod(target, 0o640);
    await writeFileAtomically(target, "new");
    expect((await stat(target)).mode & 0o777).toBe(0o640);
  });

  test("a symbolic link stays one, and its target is replaced", async () => {
    const link = join(folder, "link");
    await writeFile(target, "old");
    await symlink("target.bin", link);
    await writeFileAtomically(link, "new");
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readFile(target, "utf8")).toBe("new");
  });

  test("many writers at once leave one of their contents, and readers never see a part", async () => {
    const versions = Array.from({ length: 12 }, (_, version) =>
      String(version % 10).repeat(50_000 + version),
    );
    await writeFileAtomically(target, versions[0]);
    const writers = versions.map((text) => writeFileAtomically(target, text));
    const readings = versions.map(() => readFile(target, "utf8"));
    const seen = await Promise.all(readings);
    await Promise.all(writers);
    expect(seen.filter((text) => !versions.includes(text))).toEqual([]);
    expect(versions).toContain(await readFile(target, "utf8"));
    expect(await readdir(folder)).toEqual(["target.bin"]);
  });
});

describe("failing", () => {
  test.each([
    ["a full disk", "writeFile", "ENOSPC"],
    ["a disk that cannot flush", "sync", "EIO"],
  ] as const)("%s leaves the old file and nothing else", async (_, method, code) => {
    await writeFile(target, "old");
    await replaceMethod(method, async (handle, original) => {
      // A part of it reaches the disk before the failure, as with a real one.
      await original.call(handle, "half");
      throw failure(code);
    });
    await expect(writeFileAtomically(target, "half and half")).rejects.toMatchObject({
      name: "MissingError",
      code: "file-write",
      message: expect.stringMatching(/^Cannot write .+ as .+: .+ as simulated\. .+/),
      cause: { code },
    });
    vi.restoreAllMocks();
    expect(await readFile(target, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["target.bin"]);
  });

  test("a rename that the file system refuses leaves nothing of the new file", async () => {
    await afterEachFlush(() => mkdir(target));
    await expect(writeFileAtomically(target, "new")).rejects.toMatchObject({ code: "file-write" });
    expect(await readdir(folder)).toEqual(["target.bin"]);
    expect((await stat(target)).isDirectory()).toBe(true);
  });

  test("a folder that cannot be flushed is no failure", async () => {
    await afterEachFlush((handle) => failOnFolder(handle, "EINVAL"));
    await writeFileAtomically(target, "new");
    expect(await readFile(target, "utf8")).toBe("new");
  });

  test("a disk error at flushing the folder is told, with the new file in its place", async () => {
    await afterEachFlush((handle) => failOnFolder(handle, "EIO"));
    await expect(writeFileAtomically(target, "new")).rejects.toMatchObject({ cause: { code: "EIO" } });
    expect(await readFile(target, "utf8")).toBe("new");
  });

  test("a missing folder is named, and not made", async () => {
    const nowhere = join(folder, "absent", "target.bin");
    await expect(writeFileAtomically(nowhere, "new")).rejects.toMatchObject({
      name: "MissingError",
      code: "file-write",
      message: expect.stringMatching(/absent.*Make the folder first$/),
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test("a temporary name left by a killed process is passed over and not touched", async () => {
    await writeFileAtomically(target, "old");
    const leftovers = Array.from({ length: 1000 }, (_, count) => `.qklab-${process.pid}-${count}.tmp`);
    await Promise.all(leftovers.map((name) => writeFile(join(folder, name), "left")));
    await writeFileAtomically(target, "new");
    expect(await readFile(target, "utf8")).toBe("new");
    expect((await readdir(folder)).sort()).toEqual([...leftovers, "target.bin"].sort());
  });

  test.each([
    ["a folder", () => folder],
    ["a device", () => "/dev/null"],
  ])("%s is no target", async (_, path) => {
    await expect(writeFileAtomically(path(), "new")).rejects.toMatchObject({
      name: "MissingError",
      code: "file-target",
    });
    expect(await readdir(folder)).toEqual([]);
  });
});
