/**
 * @file Safetensors on disk: the header is read and checked first, then only the ranges of the tensors that are asked
 * for; files are written whole or not at all.
 */
import { decodeElements } from "./dtypes.ts";
import { encodeSafetensors } from "./encode.ts";
import type { Named, WritableTensor } from "./encode.ts";
import { withRanges } from "./file-ranges.node.ts";
import type { FileRanges } from "./file-ranges.node.ts";
import { findEntry, lengthPrefixBytes, parseSafetensorsHeader, safetensorsHeaderLength } from "./header.ts";
import type { SafetensorsHeader } from "./header.ts";
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
  return withRanges(path, "safetensors", async (ranges) => {
    const header = await readHeader(ranges);
    return {
      ...header,
      read: async (name) => {
        const { dtype, shape, begin, end } = findEntry(header, name, path);
        return { dtype, shape, data: decodeElements(dtype, await ranges.read(begin, end)) };
      },
      close: () => ranges.close(),
    };
  });
}

/**
 * Reads and checks the header of an open file.
 *
 * @throws DomainError, ShapeError as `parseSafetensorsHeader`
 */
export async function readHeader(ranges: FileRanges): Promise<SafetensorsHeader> {
  const { path, sizeBytes } = ranges;
  const prefix = await ranges.read(0, Math.min(sizeBytes, lengthPrefixBytes));
  const headerLength = safetensorsHeaderLength(prefix, sizeBytes, path);
  const start = await ranges.read(0, lengthPrefixBytes + headerLength);
  return parseSafetensorsHeader(start, sizeBytes, path);
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
