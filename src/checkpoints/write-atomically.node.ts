/**
 * @file Writing a file so that it is never seen half-written: the contents go to a temporary name in the same folder,
 * are flushed to the disk, and take the target's name in one rename; then the folder is flushed, so that the rename
 * outlives a power cut. A killed process can leave a `.qklab-<process>-<count>.tmp`, which may be deleted.
 */
import { lstat, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MissingError } from "../base/errors.ts";

/**
 * Replaces or creates a file as a whole. On any failure the temporary file is removed and the target is as it was.
 *
 * @param path - the file; its folder must exist. A symbolic link is followed, and the mode of an old file is kept
 * @param contents - bytes, or text to be stored as UTF-8; bytes must not change before the promise settles
 * @throws MissingError `file-target` where the target is no regular file, `file-write` where the file system refuses
 */
export async function writeFileAtomically(path: string, contents: Uint8Array | string): Promise<void> {
  const { target, mode } = await resolveTarget(path);
  const folder = dirname(target);
  const { handle, temporary } = await naming(path, () => openTemporary(folder));
  try {
    await naming(path, async () => {
      try {
        if (mode !== undefined) await handle.chmod(mode);
        await handle.writeFile(contents);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, target);
    });
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await naming(path, () => flushFolder(folder));
}

/** Removes from a folder what killed processes left half-written; nobody may be writing there. */
export async function removeTemporaries(folder: string): Promise<void> {
  const left = (await readdir(folder)).filter((name) => /^\.qklab-\d+-\d+\.tmp$/.test(name));
  for (const name of left) await rm(join(folder, name), { force: true });
}

interface Target {
  readonly target: string;
  /** Of the file that is replaced, where there is one. */
  readonly mode?: number;
}

async function resolveTarget(path: string): Promise<Target> {
  const link = await naming(path, () => whereThere(lstat(path)));
  if (link === undefined) return { target: path };
  const target = await naming(path, () => realpath(path));
  const found = await naming(path, () => stat(target));
  if (found.isFile()) return { target, mode: found.mode & 0o7777 };
  const kind = found.isDirectory() ? "a folder" : "a device, a pipe or a socket";
  throw new MissingError(
    "file-target",
    `Cannot write ${path} as the target must be a regular file: ${kind}. Choose another path`,
  );
}

let temporaryFiles = 0;

async function openTemporary(folder: string): Promise<{ handle: FileHandle; temporary: string }> {
  for (;;) {
    const temporary = join(folder, `.qklab-${process.pid}-${temporaryFiles++}.tmp`);
    try {
      return { handle: await open(temporary, "wx"), temporary };
    } catch (error) {
      // Another thread of this process, or a killed one that had the same id, took this name.
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
}

/** What file systems answer that cannot flush a folder; the rename itself is done by then. */
const cannotFlushFolders: ReadonlySet<unknown> = new Set(["EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EPERM"]);

async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!cannotFlushFolders.has(codeOf(error))) throw error;
  }
}

async function whereThere<Value>(found: Promise<Value>): Promise<Value | undefined> {
  try {
    return await found;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function naming<Value>(path: string, act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (error) {
    throw new MissingError(
      "file-write",
      `Cannot write ${path} as the file system must allow it: ${(error as Error).message}. ${cureOf(error)}`,
      { cause: error },
    );
  }
}

const cures: Readonly<Record<string, string>> = {
  ENOSPC: "Free some space or choose another disk, then try again",
  EDQUOT: "Free some space or choose another disk, then try again",
  ENOENT: "Make the folder first",
  ENOTDIR: "Make the folder first",
};

function cureOf(error: unknown): string {
  return cures[String(codeOf(error))] ?? "Choose a path that can be written";
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code;
}
