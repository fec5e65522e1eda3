/** @file Stored numbers as float32 straight from a file: beside the result there is one chunk of bytes in memory. */
import { decodeElements, widthOf } from "./dtypes.ts";
import type { SafetensorsDtype } from "./dtypes.ts";
import type { FileRanges } from "./file-ranges.node.ts";
import { widenInto } from "./half-floats.ts";
import { narrowInto } from "./safetensors.ts";

/** How many bytes are in memory beside the result; a multiple of every element's width. */
export const chunkBytes: number = 2 ** 20;

/**
 * Reads a range in order, in chunks of a buffer that is used again.
 *
 * @param stepBytes - the length of a chunk; the last may be shorter
 * @param visit - gets bytes that own their buffer, and the place of the first of them in the range
 */
export async function eachChunk(
  ranges: FileRanges,
  { begin, end }: { readonly begin: number; readonly end: number },
  stepBytes: number,
  visit: (bytes: Uint8Array<ArrayBuffer>, place: number) => void,
): Promise<void> {
  let chunk: Uint8Array<ArrayBuffer> | undefined;
  for (let place = begin; place < end; place += stepBytes) {
    const length = Math.min(stepBytes, end - place);
    if (chunk?.length !== length) chunk = ranges.allocate((size) => new Uint8Array(size), length);
    await ranges.readInto(chunk, place);
    visit(chunk, place - begin);
  }
}

/**
 * Reads numbers of any element type as float32.
 *
 * @param stored - a range that is whole elements
 * @throws NumbersError `float32-overflow` where a finite number would become infinite
 * @throws DomainError `safetensors-bool`, and as `FileRanges.read`
 */
export async function readFloats(
  ranges: FileRanges,
  stored: { readonly dtype: SafetensorsDtype; readonly begin: number; readonly end: number },
): Promise<Float32Array<ArrayBuffer>> {
  const { dtype, begin, end } = stored;
  const width = widthOf(dtype);
  const floats = ranges.allocate((length) => new Float32Array(length), (end - begin) / width);
  if (dtype === "F32") {
    await ranges.readInto(new Uint8Array(floats.buffer), begin);
    return floats;
  }
  await eachChunk(ranges, stored, chunkBytes, (bytes, place) => {
    const first = place / width;
    // Straight into their place, as a widened copy of every chunk would stay in memory for a while.
    if (dtype === "F16" || dtype === "BF16") widenInto(floats, first, dtype, new Uint16Array(bytes.buffer));
    else narrowInto(floats, first, decodeElements(dtype, bytes, first));
  });
  return floats;
}
