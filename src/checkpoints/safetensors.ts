/**
 * @file Safetensors in memory, as pure functions on bytes: one tensor or a whole file to typed arrays, bit for bit, and
 * any element type to float32.
 */
import { NumbersError, ShapeError } from "../base/errors.ts";
import type { Tensor } from "../base/tensor.ts";
import { decodeElements } from "./dtypes.ts";
import type { SafetensorsArray, SafetensorsDtype } from "./dtypes.ts";
import { quoted } from "./header-json.ts";
import { anonymous, parseSafetensorsHeader } from "./header.ts";
import type { SafetensorsEntry } from "./header.ts";

/** A tensor as a file stores it; F16 and BF16 come widened to float32, BOOL as 0 and 1. */
export interface StoredTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: SafetensorsArray;
}

/** A whole file in memory. */
export interface SafetensorsContents {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Decodes one tensor, bit for bit; half floats are widened to float32 without loss.
 *
 * @param entry - from a checked header
 * @param bytes - exactly the bytes of this tensor; they are copied
 * @throws DomainError `safetensors-bool` where a BOOL is neither 0 nor 1
 * @throws ShapeError `safetensors-span` where `bytes` are not the tensor's
 * @example
 * ```ts
 * import { decodeTensor, encodeSafetensors, parseSafetensorsHeader } from "qklab/checkpoints";
 * const bytes = encodeSafetensors({ ids: { data: Int32Array.of(7, 8), shape: [2] } });
 * for (const entry of parseSafetensorsHeader(bytes).entries.values()) {
 *   decodeTensor(entry, bytes.subarray(entry.begin, entry.end)).data; // Int32Array [7, 8]
 * }
 * ```
 */
export function decodeTensor(entry: SafetensorsEntry, bytes: Uint8Array): StoredTensor {
  const { name, dtype, shape, begin, end } = entry;
  if (bytes.length !== end - begin) {
    throw new ShapeError(
      "safetensors-span",
      `Cannot decode tensor ${quoted(name)} as its bytes must be ${end - begin}: ${bytes.length}. ` +
        "Pass the bytes from begin to end of its entry",
    );
  }
  return { dtype, shape, data: decodeElements(dtype, new Uint8Array(bytes)) };
}

/**
 * Decodes a whole file in memory.
 *
 * @param bytes - the file
 * @param source - what is being read, for messages
 * @throws DomainError, ShapeError as `parseSafetensorsHeader` and `decodeTensor`
 * @example
 * ```ts
 * import { decodeSafetensors, encodeSafetensors, toFloat32 } from "qklab/checkpoints";
 * const bytes = encodeSafetensors({ k: { data: Float64Array.of(0.5, 2), shape: [2] } });
 * const k = decodeSafetensors(bytes).tensors.get("k");
 * if (k) toFloat32(k).data; // Float32Array [0.5, 2]
 * ```
 */
export function decodeSafetensors(bytes: Uint8Array, source: string = anonymous): SafetensorsContents {
  const { entries, metadata } = parseSafetensorsHeader(bytes, bytes.length, source);
  const tensors = new Map<string, StoredTensor>();
  for (const entry of entries.values()) {
    tensors.set(entry.name, decodeTensor(entry, bytes.subarray(entry.begin, entry.end)));
  }
  return { tensors, metadata };
}

/**
 * The tensor rounded to float32, the currency between the parts of the library.
 *
 * @param stored - of any element type; F32, F16, BF16 and integers up to 2²⁴ keep their value
 * @returns a tensor of the same shape; F32 data are shared, not copied
 * @throws NumbersError `float32-overflow` where a finite number would become infinite
 * @example
 * ```ts
 * import { toFloat32 } from "qklab/checkpoints";
 * toFloat32({ dtype: "I64", shape: [2], data: BigInt64Array.of(1n, -2n) }).data; // Float32Array [1, -2]
 * ```
 */
export function toFloat32({ shape, data }: StoredTensor): Tensor {
  if (data instanceof Float32Array) return { data, shape };
  const narrowed = new Float32Array(data.length);
  narrowInto(narrowed, 0, data);
  return { data: narrowed, shape };
}

/**
 * Writes numbers rounded to float32 from place `first` of `target` on.
 *
 * @throws NumbersError `float32-overflow` where a finite number would become infinite
 */
export function narrowInto(target: Float32Array, first: number, data: SafetensorsArray): void {
  if (data instanceof Float32Array) {
    target.set(data, first);
    return;
  }
  for (let place = 0; place < data.length; place++) {
    const value = Number(data[place]);
    target[first + place] = value;
    if (Number.isFinite(value) && !Number.isFinite(target[first + place])) {
      throw new NumbersError(
        "float32-overflow",
        `Cannot narrow a tensor to float32 as its numbers must stay finite: ${value} at element ${first + place}. ` +
          "Keep it in float64",
      );
    }
  }
}
