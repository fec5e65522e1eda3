/** @file The weights of one safetensors file: its header is checked, and of its data only what is asked for is read. */
import { withRanges } from "./file-ranges.node.ts";
import { readFloats } from "./read-floats.node.ts";
import { readHeader } from "./safetensors-file.node.ts";
import { findWeight } from "./weight-names.ts";
import type { WeightSource } from "./weight-source.ts";

/**
 * Opens a file as weights. A matrix of I8 or U8 has an 8-bit form with the scale 1: the format knows no other.
 *
 * @throws MissingError `file-read` where the file is missing or unreadable
 * @throws DomainError, ShapeError with a code of `safetensors-…` where it is malformed or half a file
 */
export async function openSafetensorsWeights(path: string): Promise<WeightSource> {
  return withRanges(path, "safetensors", async (ranges) => {
    const { entries } = await readHeader(ranges);
    return {
      source: path,
      tensors: entries,
      read: async (name) => {
        const entry = findWeight(entries, name, path);
        return { shape: entry.shape, data: await readFloats(ranges, entry) };
      },
      readQuantised: async (name) => {
        const { dtype, shape, begin, end } = findWeight(entries, name, path);
        const [rows, columns] = shape;
        if (shape.length !== 2 || (dtype !== "I8" && dtype !== "U8")) return undefined;
        const bytes = await ranges.read(begin, end);
        const data = dtype === "I8" ? new Int8Array(bytes.buffer) : bytes;
        return { data, shape: [rows, columns], scale: 1, zeroPoint: 0 };
      },
      close: () => ranges.close(),
    };
  });
}
