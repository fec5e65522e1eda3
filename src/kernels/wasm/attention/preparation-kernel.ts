/** @file What is computed once per call: keys and values packed in panels of eight, squared norms, Δ_i = dO_i·o_i, sums of dq. */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { type KernelSpec } from "./kernel-spec.ts";
import { field, type RecordField } from "../engine/scratch.ts";

/** Where rows are packed from and to, and how many. */
export interface PackPlaces {
  readonly from: Value;
  readonly to: Value;
  readonly rows: Value;
}

/** `name(record, scratch)`: rows × width from `from` to panels [width, 8] at `to`; `rows` a multiple of 8. */
export function packFunction(
  name: string,
  width: number,
  placesOf: (record: Local) => PackPlaces,
  relaxed: boolean,
): WasmFunction {
  const comment = "eight rows side by side, so that one load reads one coordinate of four of them";
  return defineFunction(name, comment, ["record", "scratch"], relaxed, (b, record) =>
    packRows(b, width, placesOf(record)),
  );
}

/** Packs rows as {@link packFunction} does. */
export function packRows(b: FunctionBuilder, width: number, places: PackPlaces): void {
  const [row, at] = ["row", "at"].map((local) => b.local("i32", local));
  const source = b.let("source", places.from);
  const target = b.let("target", places.to);
  const rows = b.let("rows", places.rows);
  b.for(row, 0, rows, 8, () => {
    b.for(at, 0, 4 * width, 16, () => {
      const place = b.let("place", i32.add(source, at));
      const panel = b.let("panel", i32.add(target, i32.mul(at, 8)));
      for (const half of [0, 4]) {
        const lines = [0, 1, 2, 3].map((m) => b.let("line", f32x4.load(place, 4 * width * (half + m))));
        transposed(b, lines).forEach((column, d) => b.store(panel, column, 32 * d + 4 * half));
      }
    });
    b.set(source, i32.add(source, 32 * width));
    b.set(target, i32.add(target, 32 * width));
  });
}

/** `name(record, scratch)`: adds to the numbers at `to` those of the `count` − 1 parts behind it, always in their order. */
export function sumFunction(
  name: string,
  comment: string,
  placesOf: (record: Local) => {
    readonly to: Value;
    readonly bytes: Value;
    readonly count: Value;
    readonly stride: Value;
  },
  relaxed: boolean,
): WasmFunction {
  return defineFunction(name, comment, ["record", "scratch"], relaxed, (b, record) => {
    const [at, part, from] = ["at", "part", "from"].map((local) => b.local("i32", local));
    const places = placesOf(record);
    const to = b.let("to", places.to);
    const bytes = b.let("bytes", places.bytes);
    const sum = b.local("v128", "sum");
    b.for(at, 0, bytes, 16, () => {
      b.set(from, i32.add(to, at));
      b.set(sum, f32x4.load(from));
      b.for(part, 1, places.count, 1, () => {
        b.set(from, i32.add(from, places.stride));
        b.set(sum, f32x4.add(sum, f32x4.load(from)));
      });
      b.store(i32.add(to, at), sum);
    });
  });
}

/** Four vectors as the rows of a 4 × 4 matrix, and its columns. */
export function transposed(b: FunctionBuilder, [w, x, y, z]: readonly Local[]): Value[] {
  const low = b.let("low", f32x4.shuffle(w, x, [0, 4, 1, 5]));
  const high = b.let("high", f32x4.shuffle(w, x, [2, 6, 3, 7]));
  const lower = b.let("lower", f32x4.shuffle(y, z, [0, 4, 1, 5]));
  const higher = b.let("higher", f32x4.shuffle(y, z, [2, 6, 3, 7]));
  return [
    f32x4.shuffle(low, lower, [0, 1, 4, 5]),
    f32x4.shuffle(low, lower, [2, 3, 6, 7]),
    f32x4.shuffle(high, higher, [0, 1, 4, 5]),
    f32x4.shuffle(high, higher, [2, 3, 6, 7]),
  ];
}

/** Row-wise inner products: out_m = Σ_d a_md·b_md over a block of columns. */
function rowProducts(
  b: FunctionBuilder,
  operands: { readonly a: Value; readonly b: Value; readonly out: Value; readonly rows: Value },
  shape: { readonly rowWidth: number; readonly start: number; readonly width: number },
): void {
  const [row, at] = ["row", "at"].map((local) => b.local("i32", local));
  const sum = b.local("v128", "sum");
  const left = b.let("left", operands.a);
  const right = b.let("right", operands.b);
  const out = b.let("out", operands.out);
  b.for(row, 0, operands.rows, 1, () => {
    b.set(sum, f32x4.constant(0));
    b.for(at, 4 * shape.start, 4 * (shape.start + shape.width), 16, () => {
      b.set(sum, b.madd(f32x4.load(i32.add(left, at)), f32x4.load(i32.add(right, at)), sum));
    });
    b.storeLane(out, b.sumLanes(sum), 0);
    b.set(left, i32.add(left, 4 * shape.rowWidth));
    b.set(right, i32.add(right, 4 * shape.rowWidth));
    b.set(out, i32.add(out, 4));
  });
}

function normsFunction(
  name: string,
  from: RecordField,
  to: RecordField,
  stride: RecordField,
  spec: KernelSpec,
): WasmFunction {
  const { segments, rowWidth, relaxed } = spec;
  return defineFunction(name, "‖x‖² of every segment", ["record", "scratch"], relaxed, (b, record) => {
    segments.forEach(({ offset, paddedWidth }, index) => {
      const rows = field(record, from);
      const out = i32.add(field(record, to), i32.mul(field(record, stride), index));
      const shape = { rowWidth, start: offset, width: paddedWidth };
      rowProducts(b, { a: rows, b: rows, out, rows: field(record, "rows") }, shape);
    });
  });
}

/** The preparing functions of a kernel, all `(record, scratch)`. */
export function preparationFunctions(spec: KernelSpec): readonly WasmFunction[] {
  const { relaxed, rowWidth, paddedValueWidth } = spec;
  const delta = defineFunction("delta", "Δ_i = dO_i·o_i", ["record", "scratch"], relaxed, (b, record) => {
    const [a, other, out, rows] = (["outGradient", "out", "delta", "rows"] as const).map((name) =>
      field(record, name),
    );
    rowProducts(
      b,
      { a, b: other, out, rows },
      { rowWidth: paddedValueWidth, start: 0, width: paddedValueWidth },
    );
  });
  const sumChunks = sumFunction(
    "sumChunks",
    "dq = Σ over chunks, in their order",
    (record) => ({
      to: field(record, "queryGradient"),
      bytes: i32.mul(field(record, "rows"), 4 * rowWidth),
      count: field(record, "count"),
      stride: field(record, "scoresStride"),
    }),
    relaxed,
  );
  const pack = (name: string, width: number, from: RecordField, to: RecordField): WasmFunction =>
    packFunction(
      name,
      width,
      (record) => ({ from: field(record, from), to: field(record, to), rows: field(record, "rows") }),
      relaxed,
    );
  return [
    pack("packKeys", rowWidth, "key", "packedKey"),
    pack("packValues", paddedValueWidth, "value", "packedValue"),
    normsFunction("queryNorms", "query", "queryNorm", "queryNormStride", spec),
    normsFunction("keyNorms", "key", "keyNorm", "keyNormStride", spec),
    delta,
    sumChunks,
  ];
}
