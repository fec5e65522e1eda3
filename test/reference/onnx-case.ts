/** @file The ONNX standard's node tests as they lie in `../shared/data/onnx/*.json`: attributes, named inputs and outputs. */
import { readFileSync } from "node:fs";

/** A tensor of a case, its numbers in f64 whatever their type was. */
export interface OnnxTensor {
  readonly data: Float64Array;
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** One node with the tensors that go in and must come out, by their names in the operator. */
export interface OnnxCase {
  readonly name: string;
  readonly attributes: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, OnnxTensor>>;
  readonly outputs: Readonly<Record<string, OnnxTensor>>;
}

interface PackedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly b64: string;
}

interface PackedCase {
  readonly name: string;
  readonly nodes: readonly { readonly attrs: Readonly<Record<string, number>> }[];
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
}

/** All cases of a file. */
export function readOnnxCases(file: string): readonly OnnxCase[] {
  const packed = JSON.parse(readFileSync(file, "utf8")) as readonly PackedCase[];
  return packed.map(({ name, nodes, inputs, outputs }) => ({
    name,
    attributes: nodes[0].attrs,
    inputs: Object.fromEntries(inputs.map((tensor) => [tensor.name, unpack(tensor)])),
    outputs: Object.fromEntries(outputs.map((tensor) => [tensor.name, unpack(tensor)])),
  }));
}

/** Bytes of one number and how to read it. */
const readers: Readonly<Record<string, readonly [number, (view: DataView, at: number) => number]>> = {
  bool: [1, (view, at) => view.getUint8(at)],
  float16: [2, (view, at) => half(view.getUint16(at, true))],
  float32: [4, (view, at) => view.getFloat32(at, true)],
  int64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  uint64: [8, (view, at) => Number(view.getBigUint64(at, true))],
};

function unpack({ b64, dtype, shape }: PackedTensor): OnnxTensor {
  const bytes = Buffer.from(b64, "base64");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [size, read] = readers[dtype];
  return {
    dtype,
    shape,
    data: Float64Array.from({ length: bytes.length / size }, (_, i) => read(view, i * size)),
  };
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
