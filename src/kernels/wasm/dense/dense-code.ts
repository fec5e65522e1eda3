/**
 * @file What the code of all dense blocks is made of: matrix products on the register tile of attention, and the tasks that
 * pack weights and sum gradients. Rows and columns are padded to multiples of 8, blocks of rows to multiples of 4.
 */
import {
  f32x4,
  type FunctionBuilder,
  i32,
  type Integer,
  type Local,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import { mostPages } from "../engine/tasks.ts";
import { type TileProduct, tileProduct } from "../assembler/micro-kernel.ts";
import { packFunction, sumFunction } from "../attention/preparation-kernel.ts";

/** Rows that go through all products of a block at a time, while they are in the cache. */
export const blockRows = 64;

/** Fields that the records of all dense blocks begin with. */
export const denseFields = [
  "task",
  "rows",
  /** For packing and for sums. */
  "from",
  "to",
  "count",
  "stride",
] as const;
export type DenseField = Exclude<(typeof denseFields)[number], "task">;

/** Reads a field of a record. */
export type FieldReader<Field extends string> = (record: Local, name: Field) => Value;
export function fieldReader<Field extends string>(fields: readonly ("task" | Field)[]): FieldReader<Field> {
  return (record, name) => i32.load(record, 4 * fields.indexOf(name));
}

const common = fieldReader<DenseField>(denseFields);

/** A of a product: a matrix in rows of so many numbers, and one that is read down its columns. */
export const rowsOf = (columns: number): TileProduct["a"] => ({ row: columns, step: 1 });
export const columnsOf = (columns: number): TileProduct["a"] => ({ row: 1, step: columns });
/** B of a product: panels of eight rows, each of so many numbers, and a matrix in rows of so many numbers. */
export const panelsOf = (steps: number): TileProduct["b"] => ({ step: 8, panel: 8 * steps });
export const plain = (columns: number): TileProduct["b"] => ({ step: columns, panel: 8 });

/** In what a product differs from others; C has rows as wide as its columns where `row` is absent. */
export type ProductShape = Pick<TileProduct, "a" | "b" | "steps" | "start"> & {
  readonly columns: number;
  readonly row?: number;
};

/** Makes a product C [rows, columns] ⊕= A·B. */
export type MakeProduct = (name: string, comment: string, shape: ProductShape) => WasmFunction;
export const productMaker =
  (relaxed: boolean): MakeProduct =>
  (name, comment, { row, ...shape }) =>
    tileProduct(relaxed, { name, comment, ...shape, c: { row: row ?? shape.columns }, step: "multiply" });

/** `name`: weights [rows, columns] to panels. */
export function packTask(name: "packWide" | "packHidden", columns: number, relaxed: boolean): WasmFunction {
  const places = (record: Local): { readonly from: Value; readonly to: Value; readonly rows: Value } => ({
    from: common(record, "from"),
    to: common(record, "to"),
    rows: common(record, "rows"),
  });
  return packFunction(name, columns, places, relaxed);
}

/** `sumParts`: the gradient of a weight, Σ over parts. */
export function sumTask(relaxed: boolean): WasmFunction {
  return sumFunction(
    "sumParts",
    "the gradients of a weight, Σ over parts",
    (record) => ({
      to: common(record, "to"),
      bytes: i32.mul(common(record, "rows"), 4),
      count: common(record, "count"),
      stride: common(record, "stride"),
    }),
    relaxed,
  );
}

/** Clears so many bytes, a multiple of 16. */
export function clear(b: FunctionBuilder, address: Local, bytes: Integer): void {
  const at = b.local("i32", "at");
  b.for(at, 0, bytes, 16, () => b.store(i32.add(address, at), f32x4.constant(0)));
}

/** Copies so many bytes, a multiple of 16. */
export function copy(b: FunctionBuilder, from: Local, to: Local, bytes: Integer): void {
  const at = b.local("i32", "at");
  b.for(at, 0, bytes, 16, () => b.store(i32.add(to, at), f32x4.load(i32.add(from, at))));
}

/** A module of a dense block. */
export function denseModule(
  header: string,
  { relaxed, shared }: { readonly relaxed: boolean; readonly shared: boolean },
  helpers: readonly WasmFunction[],
  tasks: readonly WasmFunction[],
): WasmModule {
  return {
    header: [`qklab ${header}; ${relaxed ? "relaxed" : "plain"} SIMD`],
    functions: [...helpers, ...tasks],
    exports: tasks.map(({ name }) => name),
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}
