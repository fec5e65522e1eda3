/** @file The code that moves rows between themselves and their copies: [rows, width] in the virtual order, itself first. */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import { mostPages } from "../engine/tasks.ts";

/** Fields of a task's record, each an i32: addresses, and numbers of rows. */
export const copyFields = [
  "task",
  "data",
  "rowBytes",
  /** The first row that the task writes, and how many. */
  "first",
  "rows",
  /** The row of every virtual row. */
  "order",
  /** Copies of row r: copies[starts[r] … starts[r + 1]). */
  "starts",
  "copies",
  /** By what every virtual row is multiplied. */
  "factors",
] as const;
export type CopyField = (typeof copyFields)[number];

const field = (record: Local, name: CopyField): Value => i32.load(record, 4 * copyFields.indexOf(name));

/** The module: tasks `copyRows`, `addCopies` and `joinCopies`, for rows of a multiple of four numbers. */
export function copyModule(shared: boolean): WasmModule {
  return {
    header: ["qklab rows and their copies"],
    functions: [
      copyFunction(),
      sumFunction("addCopies", "x_r = Σ over r and its copies", false),
      sumFunction("joinCopies", "x_r = Σ f_p·x_p over r and its copies", true),
    ],
    exports: ["copyRows", "addCopies", "joinCopies"],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}

function copyFunction(): WasmFunction {
  return defineFunction("copyRows", "x_v = x of v's row", ["record", "scratch"], false, (b, record) => {
    const { data, rowBytes, forRows } = placesOf(b, record);
    const at = b.local("i32", "at");
    const order = b.let("order", field(record, "order"));
    forRows((row) => {
      const to = b.let("to", i32.add(data, i32.mul(row, rowBytes)));
      const own = i32.load(i32.add(order, i32.mul(row, 4)));
      const from = b.let("from", i32.add(data, i32.mul(own, rowBytes)));
      b.for(at, 0, rowBytes, 16, () => b.store(i32.add(to, at), f32x4.load(i32.add(from, at))));
    });
  });
}

function sumFunction(name: string, comment: string, hasFactors: boolean): WasmFunction {
  return defineFunction(name, comment, ["record", "scratch"], false, (b, record) => {
    const { data, rowBytes, forRows } = placesOf(b, record);
    const [at, copyAt] = ["at", "copyAt"].map((local) => b.local("i32", local));
    const starts = b.let("starts", field(record, "starts"));
    const copies = b.let("copies", field(record, "copies"));
    const factors = b.let("factors", field(record, "factors"));
    const sum = b.local("v128", "sum");
    const scaled = (row: Local, numbers: Value): Value =>
      hasFactors ? f32x4.mul(f32x4.splatAt(i32.add(factors, i32.mul(row, 4))), numbers) : numbers;
    forRows((row) => {
      const to = b.let("to", i32.add(data, i32.mul(row, rowBytes)));
      const line = b.let("line", i32.add(starts, i32.mul(row, 4)));
      const first = b.let("first", i32.add(copies, i32.mul(i32.load(line), 4)));
      const stop = b.let("stop", i32.add(copies, i32.mul(i32.load(line, 4), 4)));
      b.for(at, 0, rowBytes, 16, () => {
        b.set(sum, scaled(row, f32x4.load(i32.add(to, at))));
        b.for(copyAt, first, stop, 4, () => {
          const copy = b.let("copy", i32.load(copyAt));
          const from = i32.add(data, i32.add(i32.mul(copy, rowBytes), at));
          b.set(sum, f32x4.add(sum, scaled(copy, f32x4.load(from))));
        });
        b.store(i32.add(to, at), sum);
      });
    });
  });
}

function placesOf(
  b: FunctionBuilder,
  record: Local,
): {
  readonly data: Local;
  readonly rowBytes: Local;
  readonly forRows: (body: (row: Local) => void) => void;
} {
  const row = b.local("i32", "row");
  const first = b.let("firstRow", field(record, "first"));
  return {
    data: b.let("data", field(record, "data")),
    rowBytes: b.let("rowBytes", field(record, "rowBytes")),
    forRows: (body) => b.for(row, first, i32.add(first, field(record, "rows")), 1, () => body(row)),
  };
}
