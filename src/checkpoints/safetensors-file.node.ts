/**
 * @file Safetensors on disk: the header is read and checked first, then only the ranges of the tensors that are asked
 * for; files are written whole or not at all.
 */
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { DomainError, MissingError, UnsupportedError } from "../base/errors.ts";
import { encodeSafetensors } from "./encode.ts";
import type { Named, WritableTensor } from "./encode.ts";
import { findEntry, lengthPrefixBytes, parseSafetensorsHeader, safetensorsHeaderLength } from "./header.ts";
import type { SafetensorsHeader } from "./header.ts";
import { decodeTensor } from "./safetensors.ts";
import type { SafetensorsContents, StoredTensor } from "./safetensors.ts";
import { writeFileAtomically } from "./write-atomically.node.ts";

/** An open file whose header is checked. */
export interface SafetensorsFile extends SafetensorsHeader {
  /**
   * Reads one tensor.
   *
   * @throws MissingError `safetensors-name` with the nearest names, `file-read` where the disk fails
   * @throws DomainError `safetensors-length` where the file was cut short since it was opened
   * @throws UnsupportedError `safetensors-memory` where the tensor does not fit in memory
   */
  read(name: string): Promise<StoredTensor>;
  close(): Promise<void>;
}

/**
 * Opens a file and checks its header; no tensor is read yet. Close it when done.
 *
 * @throws MissingError `file-read` where the file is missing or unreadable
 * @throws DomainError, ShapeError with a code of `safetensors-…` where it is malformed
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  // Before it is opened, as opening a pipe waits for its writer.
  const { size } = await requireFile(path);
  const handle = await naming(path, () => open(path, "r"));
  try {
    const prefix = await readRange(handle, path, 0, Math.min(size, lengthPrefixBytes));
    const headerLength = safetensorsHeaderLength(prefix, size, path);
    const start = await readRange(handle, path, 0, lengthPrefixBytes + headerLength);
    const header = parseSafetensorsHeader(start, size, path);
    return {
      ...header,
      read: async (name) => {
        const entry = findEntry(header, name, path);
        return decodeTensor(entry, await readRange(handle, path, entry.begin, entry.end));
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Reads tensors of a file.
 *
 * @param path - the file
 * @param names - which tensors; all of them when absent. An unknown name is refused before anything is read
 * @throws as `openSafetensors` and its `read`
 */
export async function readSafetensors(path: string, names?: readonly string[]): Promise<SafetensorsContents> {
  const file = await openSafetensors(path);
  try {
    const wanted = names?.map((name) => findEntry(file, name, path)) ?? file.entries.values();
    const tensors = new Map<string, StoredTensor>();
    for (const { name } of wanted) tensors.set(name, await file.read(name));
    return { tensors, metadata: file.metadata };
  } finally {
    await file.close();
  }
}

/**
 * Writes a file, atomically. The tensors are copied before the first wait, so they may change afterwards.
 *
 * @throws DomainError, ShapeError as `encodeSafetensors`
 * @throws MissingError as `writeFileAtomically`
 */
export async function writeSafetensors(
  path: string,
  tensors: Named<WritableTensor>,
  metadata: Named<string> = {},
): Promise<void> {
  await writeFileAtomically(path, encodeSafetensors(tensors, metadata));
}

async function requireFile(path: string): Promise<{ size: number }> {
  const found = await naming(path, () => stat(path));
  if (found.isFile()) return found;
  throw new MissingError(
    "file-read",
    `Cannot read ${path} as it must be a regular file: ${found.isDirectory() ? "a folder" : "a device or a pipe"}. ` +
      "Pass the safetensors file itself",
  );
}

async function readRange(handle: FileHandle, path: string, begin: number, end: number): Promise<Uint8Array> {
  const bytes = allocate(path, end - begin);
  for (let filled = 0; filled < bytes.length;) {
    const { bytesRead } = await naming(path, () =>
      handle.read(bytes, filled, Math.min(bytes.length - filled, longestRead), begin + filled),
    );
    if (bytesRead === 0) {
      throw new DomainError(
        "safetensors-length",
        `Cannot read ${path} as it must keep its size while it is read: it ends at byte ${begin + filled}, and ` +
          `${end} are needed. Read it again when its writer is done`,
      );
    }
    filled += bytesRead;
  }
  return bytes;
}

/** Node refuses to read 2³¹ bytes or more in one call. */
const longestRead = 2 ** 30;

function allocate(path: string, sizeBytes: number): Uint8Array {
  try {
    return new Uint8Array(sizeBytes);
  } catch {
    throw new UnsupportedError(
      "safetensors-memory",
      `Cannot read ${path} as each tensor must fit in memory: ${sizeBytes} bytes. ` +
        "Split the tensor, or use a machine with more memory",
    );
  }
}

async function naming<Value>(path: string, act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (error) {
    throw new MissingError(
      "file-read",
      `Cannot read ${path} as the file must be there and readable: ${(error as Error).message}. Check the path`,
      { cause: error },
    );
  }
}
