/**
 * @file The element types of safetensors: their widths, and their little-endian bytes as typed arrays. Half floats
 * widen to float32 without loss.
 * Bytes are viewed in the host's order: hosts are taken to be little-endian, as WebAssembly memory is.
 */
import { DomainError } from "../base/errors.ts";
import { type HalfDtype, widenInto } from "./half-floats.ts";

/** An array that holds the elements of one tensor. */
export type SafetensorsArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** The name of an element type, as the header of a file spells it. */
export type SafetensorsDtype =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "U64"
  | "I32"
  | "U32"
  | "I16"
  | "U16"
  | "I8"
  | "U8"
  | "BOOL";

interface ElementType {
  readonly width: number;
  decode(bytes: Uint8Array<ArrayBuffer>, first: number): SafetensorsArray;
}

const elementTypes: Readonly<Record<SafetensorsDtype, ElementType>> = {
  F64: { width: 8, decode: ({ buffer }) => new Float64Array(buffer) },
  F32: { width: 4, decode: ({ buffer }) => new Float32Array(buffer) },
  F16: { width: 2, decode: ({ buffer }) => widened("F16", new Uint16Array(buffer)) },
  BF16: { width: 2, decode: ({ buffer }) => widened("BF16", new Uint16Array(buffer)) },
  I64: { width: 8, decode: ({ buffer }) => new BigInt64Array(buffer) },
  U64: { width: 8, decode: ({ buffer }) => new BigUint64Array(buffer) },
  I32: { width: 4, decode: ({ buffer }) => new Int32Array(buffer) },
  U32: { width: 4, decode: ({ buffer }) => new Uint32Array(buffer) },
  I16: { width: 2, decode: ({ buffer }) => new Int16Array(buffer) },
  U16: { width: 2, decode: ({ buffer }) => new Uint16Array(buffer) },
  I8: { width: 1, decode: ({ buffer }) => new Int8Array(buffer) },
  U8: { width: 1, decode: (bytes) => bytes },
  BOOL: { width: 1, decode: requireBooleans },
};

/** Every element type that can be read. */
export const safetensorsDtypes: readonly SafetensorsDtype[] = Object.keys(elementTypes) as SafetensorsDtype[];

/** Whether `name` is an element type that can be read. */
export function isSafetensorsDtype(name: string): name is SafetensorsDtype {
  return Object.hasOwn(elementTypes, name);
}

/** Bytes per element. */
export function widthOf(dtype: SafetensorsDtype): number {
  return elementTypes[dtype].width;
}

/**
 * The elements in `bytes`, which must be whole elements that own their buffer: the result may be a view of it.
 *
 * @param first - the place in its tensor of the first of them, for messages
 * @throws DomainError `safetensors-bool` where a BOOL is neither 0 nor 1
 */
export function decodeElements(
  dtype: SafetensorsDtype,
  bytes: Uint8Array<ArrayBuffer>,
  first = 0,
): SafetensorsArray {
  return elementTypes[dtype].decode(bytes, first);
}

function widened(dtype: HalfDtype, halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length);
  widenInto(floats, 0, dtype, halves);
  return floats;
}

function requireBooleans(bytes: Uint8Array, first: number): Uint8Array {
  const bad = bytes.findIndex((byte) => byte > 1);
  if (bad === -1) return bytes;
  throw new DomainError(
    "safetensors-bool",
    `Cannot decode a BOOL tensor as its bytes must be 0 or 1: ${bytes[bad]} at element ${first + bad}. ` +
      "Store these numbers as U8",
  );
}
