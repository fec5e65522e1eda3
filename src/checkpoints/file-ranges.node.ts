/**
 * @file A file of weights, of which only ranges are read: it must be a regular file, every byte that is asked for must come,
 * and what does not fit in memory is an error with a name. Nothing is allocated but what is asked for.
 */
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { DomainError, MissingError, UnsupportedError } from "../base/errors.ts";

/** A format of files as messages name it; its key is the first word of its error codes. */
const formatNames = { safetensors: "safetensors", onnx: "ONNX", llama2c: "llama2.c" } as const;

/** The key of a format. */
export type FileFormat = keyof typeof formatNames;

/** An open file. */
export interface FileRanges {
  readonly path: string;
  readonly sizeBytes: number;
  /**
   * The bytes from `begin` to `end`, in a buffer of their own.
   *
   * @throws MissingError `file-read` where the disk fails
   * @throws DomainError `…-length` where the file was cut short since it was opened
   * @throws UnsupportedError `…-memory` where they do not fit in memory
   */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Fills `target` from byte `begin` on. */
  readInto(target: Uint8Array<ArrayBuffer>, begin: number): Promise<void>;
  /**
   * Room for numbers.
   *
   * @throws UnsupportedError `…-memory`
   */
  allocate<Numbers>(make: (length: number) => Numbers, length: number): Numbers;
  close(): Promise<void>;
}

/**
 * Opens a file.
 *
 * @param format - what it is taken for, for messages and their codes
 * @throws MissingError `file-read` where it is missing, unreadable or no regular file
 */
export async function openRanges(path: string, format: FileFormat): Promise<FileRanges> {
  // Before it is opened, as opening a pipe waits for its writer.
  const sizeBytes = await sizeOfFile(path, format);
  const handle = await naming(path, () => open(path, "r"));
  const readInto = (target: Uint8Array<ArrayBuffer>, begin: number): Promise<void> =>
    fill(target, begin, { handle, path, format });
  const allocate = <Numbers>(make: (length: number) => Numbers, length: number): Numbers =>
    allocating(make, length, { path, format });
  return {
    path,
    sizeBytes,
    read: async (begin, end) => {
      const bytes = allocate((length) => new Uint8Array(length), end - begin);
      await readInto(bytes, begin);
      return bytes;
    },
    readInto,
    allocate,
    close: () => handle.close(),
  };
}

/**
 * Opens a file and makes something of it; the file is closed again where that fails.
 *
 * @throws as `openRanges` and `use`
 */
export async function withRanges<Value>(
  path: string,
  format: FileFormat,
  use: (ranges: FileRanges) => Promise<Value>,
): Promise<Value> {
  const ranges = await openRanges(path, format);
  try {
    return await use(ranges);
  } catch (error) {
    await ranges.close();
    throw error;
  }
}

/** Node refuses to read 2³¹ bytes or more in one call. */
const longestRead = 2 ** 30;

async function fill(
  target: Uint8Array<ArrayBuffer>,
  begin: number,
  { handle, path, format }: { handle: FileHandle; path: string; format: FileFormat },
): Promise<void> {
  for (let filled = 0; filled < target.length;) {
    const { bytesRead } = await naming(path, () =>
      handle.read(target, filled, Math.min(target.length - filled, longestRead), begin + filled),
    );
    if (bytesRead === 0) {
      throw new DomainError(
        `${format}-length`,
        `Cannot read ${path} as it must keep its size while it is read: it ends at byte ${begin + filled}, and ` +
          `${begin + target.length} are needed. Read it again when its writer is done`,
      );
    }
    filled += bytesRead;
  }
}

async function sizeOfFile(path: string, format: FileFormat): Promise<number> {
  const found = await naming(path, () => stat(path));
  if (found.isFile()) return found.size;
  throw new MissingError(
    "file-read",
    `Cannot read ${path} as it must be a regular file: ${found.isDirectory() ? "a folder" : "a device or a pipe"}. ` +
      `Pass the ${formatNames[format]} file itself`,
  );
}

function allocating<Numbers>(
  make: (length: number) => Numbers,
  length: number,
  { path, format }: { path: string; format: FileFormat },
): Numbers {
  try {
    return make(length);
  } catch {
    throw new UnsupportedError(
      `${format}-memory`,
      `Cannot read ${path} as each tensor must fit in memory: one of ${length} elements. ` +
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
