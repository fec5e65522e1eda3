/**
 * @file The weights of an ONNX file that onnxruntime quantised dynamically, under the names of Hugging Face. A tensor X lies there as
 * X_quantized with X_scale and X_zero_point, one number each, w = scale·(data − zero point). A matrix that MatMulInteger multiplies by
 * is [in, out] and has a number for its name; its own name is that of the node, `/model/layers.0/mlp/up_proj/MatMul_quant`.
 */
import { DomainError } from "../base/errors.ts";
import { withRanges } from "./file-ranges.node.ts";
import type { FileRanges } from "./file-ranges.node.ts";
import { quoted } from "./header-json.ts";
import type { QuantisedMatrix } from "../base/quantised-matrix.ts";
import { readOnnxGraph } from "./onnx-graph.node.ts";
import type { Initialiser, OnnxGraph } from "./onnx-graph.node.ts";
import { formError } from "./protobuf.node.ts";
import { chunkBytes, eachChunk, readFloats } from "./read-floats.node.ts";
import { findWeight } from "./weight-names.ts";
import type { WeightDescription, WeightSource } from "./weight-source.ts";

interface OnnxWeight extends WeightDescription {
  readonly stored: Initialiser;
  readonly quantisation?: Quantisation;
}

interface Quantisation {
  readonly scale: number;
  readonly zeroPoint: number;
  /** Whether the file has it as [in, out]. */
  readonly transposed: boolean;
}

const suffix = "_quantized";

/**
 * Opens an ONNX file as weights. `read` gives what is quantised as scale·(data − zero point), rounded once to float32.
 *
 * @throws MissingError `file-read` where the file is missing or unreadable
 * @throws DomainError, ShapeError as `readOnnxGraph`, and DomainError `onnx-quantised` where a tensor has no scale or more than one
 */
export async function openOnnxWeights(path: string): Promise<WeightSource> {
  return withRanges(path, "onnx", async (ranges) => {
    const graph = await readOnnxGraph(ranges);
    const tensors = await weightsOf(graph, ranges);
    return {
      source: path,
      tensors,
      read: async (name) => {
        const weight = findWeight(tensors, name, path);
        return { shape: weight.shape, data: await readWeight(ranges, weight) };
      },
      readQuantised: async (name) => readQuantised(ranges, findWeight(tensors, name, path)),
      close: () => ranges.close(),
    };
  });
}

async function weightsOf(graph: OnnxGraph, ranges: FileRanges): Promise<Map<string, OnnxWeight>> {
  const { initialisers, products } = graph;
  const weights = new Map<string, OnnxWeight>();
  /** What is part of a weight and no weight itself. */
  const used = new Set<string>();

  function add(name: string, weight: OnnxWeight): void {
    if (weights.has(name)) {
      throw formError(ranges.path, "its weights must have names of their own", `${quoted(name)} twice`);
    }
    weights.set(name, weight);
  }

  async function addQuantised(
    name: string,
    { stored, zeroPoint, transposed }: { stored: Initialiser; zeroPoint: string; transposed: boolean },
  ): Promise<void> {
    requireBytes(stored, transposed, ranges.path);
    const base = stored.name.slice(0, -suffix.length);
    const scale = `${base}_scale`;
    used.add(stored.name).add(scale).add(zeroPoint);
    const quantisation = {
      scale: await readScale(ranges, stored, initialisers.get(scale)),
      zeroPoint: zeroPoint === "" ? 0 : await readZeroPoint(ranges, stored, initialisers.get(zeroPoint)),
      transposed,
    };
    const shape = transposed ? stored.shape.toReversed() : stored.shape;
    add(name, { shape, dtype: stored.type.name, stored, quantisation });
  }

  for (const { name, matrix, zeroPoint } of products) {
    const stored = initialisers.get(matrix);
    // Of activations by activations there is nothing to keep.
    if (stored === undefined) continue;
    await addQuantised(nameOfNode(name), { stored, zeroPoint, transposed: true });
  }
  for (const stored of initialisers.values()) {
    if (used.has(stored.name) || !stored.name.endsWith(suffix)) continue;
    const base = stored.name.slice(0, -suffix.length);
    const zeroPoint = initialisers.has(`${base}_zero_point`) ? `${base}_zero_point` : "";
    await addQuantised(base, { stored, zeroPoint, transposed: false });
  }
  for (const stored of initialisers.values()) {
    if (!used.has(stored.name)) add(stored.name, { shape: stored.shape, dtype: stored.type.name, stored });
  }
  return weights;
}

/** `/model/layers.0/mlp/up_proj/MatMul_quant` is the product of `model.layers.0.mlp.up_proj.weight`. */
function nameOfNode(name: string): string {
  return `${name
    .replace(/^\//, "")
    .replace(/\/MatMul(?:_quant)?$/, "")
    .replaceAll("/", ".")}.weight`;
}

function requireBytes({ name, shape, type, integer }: Initialiser, isMatrix: boolean, path: string): void {
  const isBytes = (type.dtype === "I8" || type.dtype === "U8") && integer === undefined;
  if (isBytes && name.endsWith(suffix) && (shape.length === 2 || !isMatrix)) return;
  const rule = `${isMatrix ? "what MatMulInteger multiplies by" : "what is quantised"} must be ${isMatrix ? "a matrix of " : ""}8-bit numbers named …${suffix}`;
  throw quantisedError(path, rule, `${quoted(name)}, [${shape.join(", ")}] of ${type.name}`);
}

async function readScale(
  ranges: FileRanges,
  { name }: Initialiser,
  scale: Initialiser | undefined,
): Promise<number> {
  const isOne = scale?.type.dtype === "F32" && scale.end - scale.begin === 4;
  const value = isOne
    ? (await readFloats(ranges, { dtype: "F32", begin: scale.begin, end: scale.end }))[0]
    : Number.NaN;
  if (value > 0 && value < Infinity) return value;
  const rule = `tensor ${quoted(name)} must have one scale, a positive float32`;
  throw quantisedError(ranges.path, rule, isOne ? String(value) : describe(scale));
}

async function readZeroPoint(
  ranges: FileRanges,
  { name, type }: Initialiser,
  zeroPoint: Initialiser | undefined,
): Promise<number> {
  const isOne =
    zeroPoint?.type === type && (zeroPoint.integer !== undefined || zeroPoint.end - zeroPoint.begin === 1);
  const value = isOne
    ? (await readWeight(ranges, { stored: zeroPoint, shape: [], dtype: "" }))[0]
    : Number.NaN;
  const [smallest, largest] = type.dtype === "I8" ? [-128, 127] : [0, 255];
  if (value >= smallest && value <= largest) return value;
  const rule = `tensor ${quoted(name)} must have one zero point, of its own type ${type.name}`;
  throw quantisedError(ranges.path, rule, isOne ? String(value) : describe(zeroPoint));
}

function describe(stored: Initialiser | undefined): string {
  return stored === undefined ? "none" : `[${stored.shape.join(", ")}] of ${stored.type.name}`;
}

function quantisedError(path: string, rule: string, seen: string): DomainError {
  return new DomainError(
    "onnx-quantised",
    `Cannot read ${path} as ${rule}: ${seen}. Quantise it with onnxruntime, 8 bits and one scale for each tensor`,
  );
}

async function readWeight(ranges: FileRanges, { stored, quantisation }: OnnxWeight): Promise<Float32Array> {
  const { begin, end, type, integer } = stored;
  if (integer !== undefined) return Float32Array.of(integer);
  if (quantisation === undefined) return readFloats(ranges, { dtype: type.dtype, begin, end });
  const floats = ranges.allocate((length) => new Float32Array(length), end - begin);
  await readBytes(ranges, stored, quantisation, floats);
  return floats;
}

async function readQuantised(
  ranges: FileRanges,
  { stored, shape, quantisation }: OnnxWeight,
): Promise<QuantisedMatrix | undefined> {
  const [rows, columns] = shape;
  if (quantisation === undefined || shape.length !== 2) return undefined;
  const make = stored.type.dtype === "I8" ? Int8Array : Uint8Array;
  const data = ranges.allocate((length) => new make(length), stored.end - stored.begin);
  const { scale, zeroPoint, transposed } = quantisation;
  await readBytes(ranges, stored, { scale: 1, zeroPoint: 0, transposed }, data);
  return { data, shape: [rows, columns], scale, zeroPoint };
}

/** Fills `target` with scale·(byte − zero point) in the order of the weight's own shape, in whole rows of the stored one. */
async function readBytes(
  ranges: FileRanges,
  stored: Initialiser,
  { scale, zeroPoint, transposed }: Quantisation,
  target: Float32Array | Int8Array | Uint8Array,
): Promise<void> {
  const isSigned = stored.type.dtype === "I8";
  const [rows, columns] = transposed ? stored.shape : [stored.end - stored.begin, 1];
  const rowsAtATime = Math.max(1, Math.floor(chunkBytes / Math.max(columns, 1)));
  await eachChunk(ranges, stored, rowsAtATime * columns, (bytes, place) => {
    const values = isSigned ? new Int8Array(bytes.buffer) : bytes;
    const firstRow = place / columns;
    const rowCount = bytes.length / columns;
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < rowCount; row++) {
        target[column * rows + firstRow + row] = scale * (values[row * columns + column] - zeroPoint);
      }
    }
  });
}
