/** @file ONNX and llama2.c files laid by hand, for tests that must not trust a writer of ours. */

/** A field of a protocol buffer: its number, and a varint or bytes. */
export type LaidField = readonly [number: number, value: number | bigint | string | Uint8Array];

/** The bytes of a varint; negative numbers take ten, as int64 do. */
export function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.of(...bytes, Number(rest));
}

/** The bytes of a message: numbers as varints, text and bytes with their length before them. */
export function message(...fields: readonly LaidField[]): Uint8Array<ArrayBuffer> {
  return joined(
    fields.flatMap(([number, value]) => {
      if (typeof value === "number" || typeof value === "bigint") return [varint(number * 8), varint(value)];
      const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
      return [varint(number * 8 + 2), varint(bytes.length), bytes];
    }),
  );
}

/** Bytes one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return bytes;
}

/** The little-endian bytes of numbers. */
export function bytesOf(numbers: Float32Array | Int32Array | BigInt64Array | Int8Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** A tensor of a graph; `data` are its last fields. */
export function laidTensor(
  name: string,
  type: number,
  dims: readonly (number | bigint)[],
  ...data: readonly LaidField[]
): LaidField {
  return [5, message(...dims.map((extent): LaidField => [1, extent]), [2, type], [8, name], ...data)];
}

/** A node of a graph that multiplies by `matrix`. */
export function laidProduct(name: string, matrix: string, zeroPoint?: string): LaidField {
  const inputs = ["a_quantized", matrix, "a_zero_point", ...(zeroPoint === undefined ? [] : [zeroPoint])];
  return [
    1,
    message(...inputs.map((input): LaidField => [1, input]), [2, "out"], [3, name], [4, "MatMulInteger"]),
  ];
}

/** A scale of one number in float_data, as onnxruntime writes it. */
export function laidScale(name: string, value: number): LaidField {
  return laidTensor(name, 1, [], [4, bytesOf(Float32Array.of(value))]);
}

/** A zero point of one number in int32_data, as onnxruntime writes it. */
export function laidZeroPoint(name: string, type: number, value: number): LaidField {
  return laidTensor(name, type, [], [5, varint(value)]);
}

/** A model with a graph of these fields. */
export function layOnnx(...graph: readonly LaidField[]): Uint8Array<ArrayBuffer> {
  return message([1, 8], [2, "onnx.quantize"], [8, message([2, 14])], [7, message(...graph)]);
}

/**
 * A small quantised model: a projection [in 2, out 3] with the scale ½ and the zero point −1, an embedding of unsigned numbers with
 * ¼ and 128, a norm, and a node and a tensor that are nothing of these.
 */
export function smallOnnx(): Uint8Array<ArrayBuffer> {
  return layOnnx(
    [1, message([1, "x"], [2, "y"], [3, "/model/Sigmoid"], [4, "Sigmoid"])],
    laidProduct(
      "/model/layers.0/mlp/up_proj/MatMul_quant",
      "onnx::MatMul_1_quantized",
      "onnx::MatMul_1_zero_point",
    ),
    [2, "main"],
    laidTensor("model.norm.weight", 1, [2], [9, bytesOf(Float32Array.of(1.5, -2))], [14, 0]),
    laidScale("onnx::MatMul_1_scale", 0.5),
    laidZeroPoint("onnx::MatMul_1_zero_point", 3, -1),
    laidTensor("onnx::MatMul_1_quantized", 3, [2, 3], [9, bytesOf(Int8Array.of(1, 2, 3, -4, 5, -6))]),
    laidScale("model.embed_tokens.weight_scale", 0.25),
    laidZeroPoint("model.embed_tokens.weight_zero_point", 2, 128),
    laidTensor("model.embed_tokens.weight_quantized", 2, [2, 2], [9, Uint8Array.of(128, 132, 0, 255)]),
    laidTensor("axes", 7, [2], [9, bytesOf(BigInt64Array.of(-1n, 3n))]),
    [11, message([1, "input_ids"])],
  );
}

/** Seven sizes of llama2.c: width, hidden, layers, heads, key heads, vocabulary, positions. */
export type Llama2cSizes = readonly [number, number, number, number, number, number, number];

/** A file of llama2.c: a header, and float32 that count up from 0. */
export function layLlama2c(sizes: Llama2cSizes, numbers: number): Uint8Array<ArrayBuffer> {
  return joined([
    bytesOf(Int32Array.from(sizes)),
    bytesOf(Float32Array.from({ length: numbers }, (_, place) => place)),
  ]);
}

/** Two layers of width 4 and hidden 3, two heads with one pair of keys, three words and two positions. */
export const smallLlama2cSizes: Llama2cSizes = [4, 3, 2, 2, 1, 3, 2];

/** Embedding, layers (norm, q, k, v, o, norm, gate, down, up), last norm, cosines and sines. */
export const smallLlama2cNumbers: number = 3 * 4 + 2 * (4 + 16 + 8 + 8 + 16 + 4 + 12 + 12 + 12) + 4 + 2 * 2;
