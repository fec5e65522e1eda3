/**
 * @file Writing safetensors, deterministically: the same tensors give the same bytes whatever their order. As the
 * writer of huggingface/safetensors does, wide elements come first and then names in order, so that every tensor is
 * aligned to its own width; the header is padded by spaces to a multiple of 8 bytes.
 */
import { DomainError, NumbersError, ShapeError } from "../base/errors.ts";
import type { SafetensorsArray } from "./dtypes.ts";
import { float32ToBfloat16Bits, float32ToBinary16Bits, type HalfDtype } from "./half-floats.ts";
import { isWellFormed, metadataKey, quoted } from "./header-json.ts";
import { elementCount, lengthPrefixBytes, longestHeaderBytes } from "./header.ts";

/** A tensor that can be written. */
export interface WritableTensor {
  readonly data: Float64Array | Float32Array | Int32Array | Int8Array | Uint8Array;
  readonly shape: readonly number[];
  /** Stores a Float32Array in half the bytes, each number rounded to the nearest, ties to even. */
  readonly dtype?: HalfDtype;
}

/** Named values, as an object or as a map. */
export type Named<Value> = Readonly<Record<string, Value>> | ReadonlyMap<string, Value>;

type WritableDtype = "F64" | "F32" | "I32" | HalfDtype | "I8" | "U8";

const widthsInFileOrder: Readonly<Record<WritableDtype, number>> = {
  F64: 8,
  F32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  I8: 1,
  U8: 1,
};
const fileOrder = Object.keys(widthsInFileOrder);

/**
 * The bytes of a safetensors file: Float64Array is stored as F64, Float32Array as F32, Int32Array as I32,
 * Int8Array as I8 and Uint8Array as U8, bit for bit; a Float32Array may be rounded to F16 or BF16.
 *
 * @param tensors - by name; a shape of `[]` is a scalar, an extent of 0 is allowed
 * @param metadata - words to store with them
 * @returns the whole file; the data are copied
 * @throws DomainError `safetensors-name` for a name that cannot be stored, `safetensors-dtype` for another array
 * or a half float of one that is no Float32Array, `safetensors-metadata` for a value that is no string, `safetensors-length` for a header beyond 100 MB
 * @throws ShapeError `safetensors-shape` where a shape does not hold exactly its data
 * @throws NumbersError `half-overflow` where a finite number would become infinite
 * @example
 * ```ts
 * import { encodeSafetensors } from "qklab/checkpoints";
 * const bytes = encodeSafetensors({ w: { data: Float32Array.of(1, 2), shape: [2, 1] } }, { step: "100" });
 * bytes.length % 8; // 0
 * ```
 */
export function encodeSafetensors(
  tensors: Named<WritableTensor>,
  metadata: Named<string> = {},
): Uint8Array<ArrayBuffer> {
  const placed = placeTensors(tensors);
  const dataBytes = placed.at(-1)?.end ?? 0;
  const header = new TextEncoder().encode(headerText(placed, metadata));
  const paddedLength = Math.ceil(header.length / 8) * 8;
  if (paddedLength > longestHeaderBytes) {
    throw new DomainError(
      "safetensors-length",
      `Cannot write safetensors as the header must be at most ${longestHeaderBytes} bytes: ${paddedLength} bytes. ` +
        "Store fewer tensors or less metadata",
    );
  }
  const dataStart = lengthPrefixBytes + paddedLength;
  const bytes = new Uint8Array(dataStart + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(paddedLength), true);
  bytes.fill(" ".charCodeAt(0), lengthPrefixBytes, dataStart).set(header, lengthPrefixBytes);
  for (const { data, begin } of placed) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), dataStart + begin);
  }
  return bytes;
}

interface PlacedTensor {
  readonly name: string;
  readonly dtype: WritableDtype;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
  /** Counted from the start of the data. */
  readonly begin: number;
  readonly end: number;
}

function placeTensors(tensors: Named<WritableTensor>): PlacedTensor[] {
  const described = entriesOf(tensors).map(([name, tensor]) => describe(name, tensor));
  described.sort(
    (a, b) => fileOrder.indexOf(a.dtype) - fileOrder.indexOf(b.dtype) || compareNames(a.name, b.name),
  );
  let end = 0;
  return described.map((tensor) => {
    const begin = end;
    end += tensor.data.byteLength;
    return { ...tensor, begin, end };
  });
}

function describe(
  name: string,
  { data, shape, dtype: half }: WritableTensor,
): Omit<PlacedTensor, "begin" | "end"> {
  if (name === metadataKey || !isWellFormed(name)) {
    throw new DomainError(
      "safetensors-name",
      `Cannot write tensor ${quoted(name)} as a name must be Unicode text other than ${metadataKey}: ` +
        `${quoted(name)}. Rename it`,
    );
  }
  const dtype = half === undefined ? dtypeOf(name, data) : requireHalf(name, data, half);
  if (elementCount(shape, widthsInFileOrder[dtype]) !== data.length) {
    throw new ShapeError(
      "safetensors-shape",
      `Cannot write tensor ${quoted(name)} as its shape must hold exactly its numbers: shape [${shape.join(", ")}], ` +
        `${data.length} numbers. Pass a shape whose product is the length`,
    );
  }
  return { name, dtype, shape, data: half === undefined ? data : narrowToHalf(name, data, half) };
}

function requireHalf(name: string, data: SafetensorsArray, half: HalfDtype): HalfDtype {
  if (data instanceof Float32Array && Object.hasOwn(toHalfBits, half)) return half;
  throw new DomainError(
    "safetensors-dtype",
    `Cannot write tensor ${quoted(name)} as only a Float32Array can be rounded, and to F16 or BF16: ` +
      `${kindOf(data)} as ${JSON.stringify(half)}. Convert it first, or leave dtype out`,
  );
}

const toHalfBits: Readonly<Record<HalfDtype, (bits: number) => number>> = {
  F16: float32ToBinary16Bits,
  BF16: float32ToBfloat16Bits,
};
const halfInfinities: Readonly<Record<HalfDtype, number>> = { F16: 0x7c00, BF16: 0x7f80 };

function narrowToHalf(name: string, data: WritableTensor["data"], half: HalfDtype): Uint16Array {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const toBits = toHalfBits[half];
  const infinity = halfInfinities[half];
  const rounded = new Uint16Array(bits.length);
  for (let place = 0; place < bits.length; place++) {
    rounded[place] = toBits(bits[place]);
    if ((rounded[place] & 0x7fff) !== infinity || !Number.isFinite(data[place])) continue;
    throw new NumbersError(
      "half-overflow",
      `Cannot write tensor ${quoted(name)} as its numbers must stay finite in ${half}: ${data[place]} at element ${place}. ` +
        "Leave dtype out, which stores F32",
    );
  }
  return rounded;
}

function dtypeOf(name: string, data: SafetensorsArray): WritableDtype {
  if (data instanceof Float32Array) return "F32";
  if (data instanceof Float64Array) return "F64";
  if (data instanceof Int32Array) return "I32";
  if (data instanceof Int8Array) return "I8";
  if (data instanceof Uint8Array) return "U8";
  throw new DomainError(
    "safetensors-dtype",
    `Cannot write tensor ${quoted(name)} as its data must be a Float32Array, Float64Array, Int32Array, Int8Array or ` +
      `Uint8Array: ${kindOf(data)}. Convert it first`,
  );
}

function kindOf(data: unknown): string {
  return Object.prototype.toString.call(data).slice("[object ".length, -1);
}

/** Written by hand, as an object would put names that look like integers first. */
function headerText(placed: readonly PlacedTensor[], metadata: Named<string>): string {
  const words = entriesOf(metadata).sort(([a], [b]) => compareNames(a, b));
  const members = placed.map(
    ({ name, dtype, shape, begin, end }) =>
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`,
  );
  if (words.length > 0) {
    members.unshift(`${JSON.stringify(metadataKey)}:{${words.map(metadataMember).join(",")}}`);
  }
  return `{${members.join(",")}}`;
}

function metadataMember([key, value]: readonly [string, unknown]): string {
  if (typeof value === "string" && isWellFormed(key) && isWellFormed(value)) {
    return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }
  throw new DomainError(
    "safetensors-metadata",
    `Cannot write metadata ${quoted(key)} as keys and values must be Unicode strings: ${typeof value === "string" ? quoted(value) : typeof value}. ` +
      "Turn it into text first",
  );
}

function entriesOf<Value>(named: Named<Value>): [string, Value][] {
  return named instanceof Map ? [...named] : Object.entries(named as Readonly<Record<string, Value>>);
}

/** By code units, which no locale changes. */
function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
