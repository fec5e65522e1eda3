/**
 * @file The header of a safetensors file, `length u64 | header JSON | data`. A file from outside is hostile, so the
 * header is held against the size of the file before anything is allocated: every tensor's span must be its shape
 * times its width, and the spans must cover the data exactly once.
 * Source: the format section of huggingface/safetensors; the limit of 100 MB for the header is its reader's.
 */
import { DomainError, MissingError, ShapeError } from "../base/errors.ts";
import { isSafetensorsDtype, safetensorsDtypes, widthOf } from "./dtypes.ts";
import type { SafetensorsDtype } from "./dtypes.ts";
import { quoted, readHeaderText } from "./header-json.ts";
import type { HeaderRecord } from "./header-json.ts";
import { nearestQuoted } from "./weight-names.ts";

/** Where one tensor lies in a file. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** One past the last byte. */
  readonly end: number;
}

/** A header that agrees with its file. */
export interface SafetensorsHeader {
  /** By name, in the order of the data. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Bytes of the length that stands before the header. */
export const lengthPrefixBytes = 8;

/** The longest header that is read or written. */
export const longestHeaderBytes = 100_000_000;

/** What errors call bytes that came without a name. */
export const anonymous = "the safetensors bytes";

/**
 * The length of the header, from the first eight bytes of a file.
 *
 * @param bytes - the start of the file, at least 8 bytes
 * @param fileSize - in bytes
 * @param source - what is being read, for messages
 * @throws DomainError `safetensors-length` where it is beyond the file or 100 MB
 * @example
 * ```ts
 * import { encodeSafetensors, safetensorsHeaderLength } from "qklab/checkpoints";
 * const bytes = encodeSafetensors({});
 * safetensorsHeaderLength(bytes.subarray(0, 8), bytes.length); // 8
 * ```
 */
export function safetensorsHeaderLength(
  bytes: Uint8Array,
  fileSize: number = bytes.length,
  source: string = anonymous,
): number {
  if (bytes.length < lengthPrefixBytes) {
    throw lengthError(source, "a file must start with an 8-byte length", `${bytes.length} bytes`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  if (length > BigInt(longestHeaderBytes)) {
    throw lengthError(source, `its header must be at most ${longestHeaderBytes} bytes`, `${length} bytes`);
  }
  if (Number(length) > fileSize - lengthPrefixBytes) {
    const seen = `a header of ${length} bytes in a file of ${fileSize}`;
    throw lengthError(source, "its header must fit in the file", seen);
  }
  return Number(length);
}

/**
 * Reads and checks a header.
 *
 * @param bytes - the file, or as much of its start as reaches the end of the header
 * @param fileSize - in bytes; the offsets are held against it
 * @param source - what is being read, for messages
 * @returns the tensors by name in the order of their data, and the metadata
 * @throws DomainError whose code starts with `safetensors-` for a header that is malformed (`length`, `json`,
 * `duplicate`, `dtype`) or whose ranges do not cover the file exactly once (`offsets`)
 * @throws ShapeError `safetensors-shape` for extents that are not sizes, `safetensors-span` for a range that is not
 * shape times width
 * @example
 * ```ts
 * import { encodeSafetensors, parseSafetensorsHeader } from "qklab/checkpoints";
 * const bytes = encodeSafetensors({ q: { data: new Float32Array(6), shape: [2, 3] } });
 * parseSafetensorsHeader(bytes).entries.get("q")?.shape; // [2, 3]
 * ```
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileSize: number = bytes.length,
  source: string = anonymous,
): SafetensorsHeader {
  const headerEnd = lengthPrefixBytes + safetensorsHeaderLength(bytes, fileSize, source);
  if (bytes.length < headerEnd) {
    throw lengthError(source, `the first ${headerEnd} bytes must be there`, `${bytes.length} bytes`);
  }
  const { metadata, records } = readHeaderText(
    decodeUtf8(bytes.subarray(lengthPrefixBytes, headerEnd), source),
    source,
  );
  const inDataOrder = records
    .map((record) => entryOf(record, headerEnd, source))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  requireCoverage(inDataOrder, headerEnd, fileSize, source);
  return { metadata, entries: new Map(inDataOrder.map((entry) => [entry.name, entry])) };
}

/**
 * The entry of a name.
 *
 * @throws MissingError `safetensors-name`, with the nearest names
 */
export function findEntry(
  { entries }: SafetensorsHeader,
  name: string,
  source: string = anonymous,
): SafetensorsEntry {
  const entry = entries.get(name);
  if (entry !== undefined) return entry;
  const nearest = nearestQuoted(name, entries.keys());
  throw new MissingError(
    "safetensors-name",
    `Cannot read tensor ${quoted(name)} as ${source} must hold it: ${entries.size} tensors, none of that name. ` +
      (nearest === "" ? "Pass a file that holds it" : `Ask for one of its names; the nearest are ${nearest}`),
  );
}

/** Number of elements; nothing where an extent is no size, or the product of those that are not 0 is out of reach. */
export function elementCount(shape: readonly number[], width: number): number | undefined {
  let bytes = width;
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) return undefined;
    if (extent > 0) bytes *= extent;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return shape.includes(0) ? 0 : bytes / width;
}

function entryOf(
  { name, dtype, shape, offsets }: HeaderRecord,
  dataStart: number,
  source: string,
): SafetensorsEntry {
  const act = (): string => `Cannot read tensor ${quoted(name)} of ${source} as`;
  if (!isSafetensorsDtype(dtype)) {
    throw new DomainError(
      "safetensors-dtype",
      `${act()} its dtype must be one of ${safetensorsDtypes.join(", ")}: ${quoted(dtype)}. Convert it first`,
    );
  }
  const count = elementCount(shape, widthOf(dtype));
  if (count === undefined) {
    throw new ShapeError(
      "safetensors-shape",
      `${act()} its shape must have a size below 2⁵³ bytes: ${shapeText(shape)} of ${dtype}. ` +
        "Save the file again with the tensor's own shape",
    );
  }
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin > end) {
    throw new DomainError(
      "safetensors-offsets",
      `${act()} its data_offsets must be [begin, end] with begin ≤ end: ${shapeText(offsets)}. ` +
        "Save the file again with a safetensors writer",
    );
  }
  const span = count * widthOf(dtype);
  if (end - begin !== span) {
    throw new ShapeError(
      "safetensors-span",
      `${act()} its data must be shape × width bytes: ${end - begin} bytes for ${shapeText(shape)} of ${dtype}, ` +
        `which needs ${span}. Save the file again with a safetensors writer`,
    );
  }
  return { name, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** The format wants neither gaps nor overlaps, so bytes cannot hide and no byte means two things. */
function requireCoverage(
  inDataOrder: readonly SafetensorsEntry[],
  dataStart: number,
  fileSize: number,
  source: string,
): void {
  let covered = dataStart;
  for (const { name, begin, end } of inDataOrder) {
    if (begin !== covered) {
      const what = begin > covered ? "a gap" : "an overlap";
      throw coverageError(
        source,
        `${what} before tensor ${quoted(name)}, at byte ${Math.min(begin, covered)}`,
      );
    }
    covered = end;
  }
  if (covered !== fileSize) {
    throw coverageError(source, `tensors to byte ${covered} in a file of ${fileSize}`);
  }
}

function coverageError(source: string, seen: string): DomainError {
  return new DomainError(
    "safetensors-offsets",
    `Cannot read ${source} as its tensors must cover its data exactly once: ${seen}. ` +
      "Fetch or save the file again: it is cut short or altered",
  );
}

function lengthError(source: string, rule: string, seen: string): DomainError {
  return new DomainError(
    "safetensors-length",
    `Cannot read ${source} as ${rule}: ${seen}. Check that it is a safetensors file, and whole`,
  );
}

function decodeUtf8(bytes: Uint8Array, source: string): string {
  try {
    // A byte order mark is kept, so that it is refused like any other character before the brace.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new DomainError(
      "safetensors-json",
      `Cannot read ${source} as its header must be UTF-8: other bytes among its ${bytes.length}. ` +
        "Check that it is a safetensors file, and whole",
    );
  }
}

/** Of a shape or of offsets; a hostile one may have millions of extents. */
function shapeText(extents: readonly number[]): string {
  const shown = extents.slice(0, longestShownShape).join(", ");
  return extents.length > longestShownShape ? `[${shown}, … ${extents.length} extents]` : `[${shown}]`;
}

const longestShownShape = 8;
