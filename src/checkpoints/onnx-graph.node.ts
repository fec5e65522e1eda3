/**
 * @file What of an ONNX graph weights are made of: its initialisers, and which of them its MatMulInteger nodes multiply by.
 * Names and numbers of fields: onnx.proto of the ONNX standard (ModelProto, GraphProto, NodeProto, TensorProto).
 */
import { DomainError, ShapeError } from "../base/errors.ts";
import { widthOf } from "./dtypes.ts";
import type { SafetensorsDtype } from "./dtypes.ts";
import type { FileRanges } from "./file-ranges.node.ts";
import { quoted } from "./header-json.ts";
import { elementCount } from "./header.ts";
import { formError, protobufReader } from "./protobuf.node.ts";
import type { ProtobufField, ProtobufReader, Range } from "./protobuf.node.ts";

/** A tensor of the graph. */
export interface Initialiser extends Range {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementType;
  /** Of a single number that is stored as a varint; all others lie in the file from `begin` to `end`. */
  readonly integer?: number;
}

/** One of ONNX's element types and what its bytes are. */
interface ElementType {
  /** As ONNX calls it. */
  readonly name: string;
  readonly dtype: SafetensorsDtype;
}

/** A node that multiplies activations by an 8-bit matrix. */
export interface IntegerProduct {
  readonly name: string;
  /** Names of the matrix and of its zero point, which is absent where it is 0. */
  readonly matrix: string;
  readonly zeroPoint: string;
}

/** The part of a graph that is read. */
export interface OnnxGraph {
  readonly initialisers: ReadonlyMap<string, Initialiser>;
  readonly products: readonly IntegerProduct[];
}

/** TensorProto.DataType. */
const elementTypes: ReadonlyMap<number, ElementType> = new Map([
  [1, { name: "FLOAT", dtype: "F32" }],
  [2, { name: "UINT8", dtype: "U8" }],
  [3, { name: "INT8", dtype: "I8" }],
  [4, { name: "UINT16", dtype: "U16" }],
  [5, { name: "INT16", dtype: "I16" }],
  [6, { name: "INT32", dtype: "I32" }],
  [7, { name: "INT64", dtype: "I64" }],
  [9, { name: "BOOL", dtype: "BOOL" }],
  [10, { name: "FLOAT16", dtype: "F16" }],
  [11, { name: "DOUBLE", dtype: "F64" }],
  [12, { name: "UINT32", dtype: "U32" }],
  [13, { name: "UINT64", dtype: "U64" }],
  [16, { name: "BFLOAT16", dtype: "BF16" }],
]);

const fieldOf = {
  model: { graph: 7 },
  graph: { node: 1, initialiser: 5 },
  node: { input: 1, name: 3, operator: 4 },
  tensor: { dims: 1, dataType: 2, floatData: 4, int32Data: 5, name: 8, rawData: 9, location: 14 },
  /** Data in other forms: string_data, int64_data, double_data, uint64_data. */
  otherData: [6, 7, 10, 11],
} as const;

const mostExtents = 16;
/** Names are kept in memory, so their number has a bound; large models have some thousand. */
const mostEntries = 2 ** 18;

/**
 * Reads the graph of a model. Of the data nothing is read.
 *
 * @throws DomainError `onnx-form` for bytes that are no model, `onnx-length` for a file that is cut short, `onnx-storage` for
 * tensors in other files or of types that are not read
 * @throws ShapeError `onnx-shape` for extents that are no sizes or do not fit the data
 */
export async function readOnnxGraph(ranges: FileRanges): Promise<OnnxGraph> {
  const { path, sizeBytes } = ranges;
  const reader = protobufReader(ranges);
  let graph: ProtobufField | undefined;
  for await (const field of reader.fields({ begin: 0, end: sizeBytes })) {
    if (field.number !== fieldOf.model.graph) continue;
    if (graph !== undefined || field.wire !== 2) throw formError(path, "it must hold one graph", "another");
    graph = field;
  }
  if (graph === undefined) throw formError(path, "it must hold a graph", `none in ${sizeBytes} bytes`);

  const initialisers = new Map<string, Initialiser>();
  const products: IntegerProduct[] = [];
  for await (const field of reader.fields(graph)) {
    if (field.number === fieldOf.graph.node) {
      const product = await readNode(reader, requireMessage(field, path));
      if (product !== undefined) products.push(product);
    } else if (field.number === fieldOf.graph.initialiser) {
      const initialiser = await readTensor(reader, requireMessage(field, path), path);
      if (initialisers.has(initialiser.name)) {
        throw formError(
          path,
          "its tensors must have names of their own",
          `${quoted(initialiser.name)} twice`,
        );
      }
      initialisers.set(initialiser.name, initialiser);
    }
    if (initialisers.size + products.length > mostEntries) {
      throw formError(path, `it must have at most ${mostEntries} tensors and products`, "more");
    }
  }
  return { initialisers, products };
}

function requireMessage(field: ProtobufField, path: string): ProtobufField {
  if (field.wire === 2) return field;
  throw formError(
    path,
    "its nodes and tensors must be messages",
    `wire type ${field.wire} at byte ${field.begin}`,
  );
}

async function readNode(reader: ProtobufReader, message: Range): Promise<IntegerProduct | undefined> {
  let name = "";
  let operator = "";
  const inputs: ProtobufField[] = [];
  for await (const field of reader.fields(message)) {
    if (field.number === fieldOf.node.name) name = await reader.text(field);
    else if (field.number === fieldOf.node.operator) operator = await reader.text(field);
    // MatMulInteger has A, B, the zero point of A and that of B.
    else if (field.number === fieldOf.node.input && inputs.length < 4) inputs.push(field);
  }
  if (operator !== "MatMulInteger") return undefined;
  const texts: string[] = [];
  for (const input of inputs) texts.push(await reader.text(input));
  const [, matrix = "", , zeroPoint = ""] = texts;
  return { name, matrix, zeroPoint };
}

/** A tensor's fields as they come. */
interface TensorFields {
  name: string;
  dims: bigint[];
  dataType: bigint;
  data: ProtobufField[];
}

async function readTensor(reader: ProtobufReader, message: Range, path: string): Promise<Initialiser> {
  const fields = await readTensorFields(reader, message, path);
  const { name, dims, dataType, data } = fields;
  const type = elementTypes.get(Number(dataType));
  if (type === undefined) {
    const known = [...elementTypes.values()].map((each) => each.name).join(", ");
    throw storageError(name, path, `its type must be one of ${known}`, `type ${dataType}`);
  }
  const shape = dims.map(Number);
  const count = dims.length > mostExtents ? undefined : elementCount(shape, widthOf(type.dtype));
  if (count === undefined) {
    const more = dims.length > mostExtents ? ", …" : "";
    const seen = `[${dims.slice(0, mostExtents).join(", ")}${more}]`;
    throw shapeError(
      name,
      path,
      `its extents must be at most ${mostExtents} sizes whose product is below 2⁵³ bytes`,
      seen,
    );
  }
  if (data.length > 1) throw formError(path, `tensor ${quoted(name)} must have its data once`, "twice");
  const [field = { number: fieldOf.tensor.rawData, wire: 2, begin: message.end, end: message.end }] = data;
  const { begin, end } = field;
  const stored = { name, shape, type, begin, end };
  if (field.number === fieldOf.tensor.int32Data && count === 1 && /^[IU]\d/.test(type.dtype)) {
    const [integer] = await reader.integers(field, 1);
    if (integer !== undefined) return { ...stored, integer: Number(integer) };
  }
  const isFloats = field.number === fieldOf.tensor.floatData && type.dtype === "F32" && field.wire !== 0;
  const isRaw = field.number === fieldOf.tensor.rawData && field.wire === 2;
  if (!isRaw && !isFloats) {
    const rule = "its data must be raw bytes or packed floats, or one integer";
    throw storageError(name, path, rule, `${type.name} in field ${field.number}`);
  }
  if (end - begin === count * widthOf(type.dtype)) return stored;
  const seen = `${end - begin} bytes for [${shape.join(", ")}] of ${type.name}`;
  throw shapeError(name, path, "its data must be shape × width bytes", seen);
}

async function readTensorFields(reader: ProtobufReader, message: Range, path: string): Promise<TensorFields> {
  const { tensor, otherData } = fieldOf;
  const found: TensorFields = { name: "", dims: [], dataType: 0n, data: [] };
  const dataFields = new Set<number>([tensor.rawData, tensor.floatData, tensor.int32Data, ...otherData]);
  for await (const field of reader.fields(message)) {
    if (field.number === tensor.name) found.name = await reader.text(field);
    else if (field.number === tensor.dataType) [found.dataType = 0n] = await reader.integers(field, 1);
    else if (field.number === tensor.dims) {
      // One too many is enough to refuse them, once the name is known.
      const dims = await reader.integers(field, mostExtents + 1);
      if (found.dims.length <= mostExtents) found.dims.push(...dims);
    } else if (field.number === tensor.location) {
      const [location] = await reader.integers(field, 1);
      if (location !== 0n) {
        throw storageError(found.name, path, "its data must lie in the same file", `location ${location}`);
      }
    } else if (dataFields.has(field.number)) {
      if (found.data.length <= 1) found.data.push(field);
    }
  }
  return found;
}

function storageError(name: string, path: string, rule: string, seen: string): DomainError {
  return new DomainError(
    "onnx-storage",
    `Cannot read tensor ${quoted(name)} of ${path} as ${rule}: ${seen}. Export the weights as safetensors`,
  );
}

function shapeError(name: string, path: string, rule: string, seen: string): ShapeError {
  return new ShapeError(
    "onnx-shape",
    `Cannot read tensor ${quoted(name)} of ${path} as ${rule}: ${seen}. Fetch or export the file again`,
  );
}
