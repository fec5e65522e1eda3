/**
 * @file The code by which a selection chooses: inner products of rows and vectors, kept, or only the vector that is nearest to
 * each row. Sums are plain float32 in the order of the coordinates, as the definition has them, on every machine.
 */
import {
  defineFunction,
  f32x4,
  i32,
  i32x4,
  type Local,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import { mostPages } from "../engine/tasks.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { tileProduct } from "../assembler/micro-kernel.ts";

/** Rows of a task. */
export const choiceRows = 64;

/** Everything that the code depends on. */
export interface ChoiceSpec {
  readonly width: number;
  /** m */
  readonly vectors: number;
  readonly shared: boolean;
}

/** Fields of a task's record, each an i32. */
export const choiceFields = ["task", "rows", "from", "vectors", "to"] as const;
export type ChoiceField = (typeof choiceFields)[number];

const field = (record: Local, name: ChoiceField): Value => i32.load(record, 4 * choiceFields.indexOf(name));

/** Four largest and four smallest products of a row, one a lane, each with its vector: 16 numbers. */
export const extremesBytes = 64;

/** Bytes of one thread's scratch memory. */
export const choiceScratchBytes = ({ vectors }: ChoiceSpec): number => 4 * choiceRows * roundUp(vectors, 8);

/** The module: tasks `products` and `nearest`, of vectors in panels of eight. */
export function choiceModule({ width, vectors, shared }: ChoiceSpec): WasmModule {
  const columns = roundUp(vectors, 8);
  const multiply = tileProduct(false, {
    name: "multiply",
    comment: "p_ij = Σ_d a_id·b_jd, one coordinate after the other",
    a: { row: width, step: 1 },
    b: { step: 8, panel: 8 * width },
    c: { row: columns },
    steps: width,
    columns,
    start: "zero",
    step: "multiply",
  });
  const paddedRows = (record: Local): Value => i32.and(i32.add(field(record, "rows"), 3), -4);
  const products = defineFunction("products", "inner products", ["record", "scratch"], false, (b, record) => {
    const to = field(record, "to");
    b.call(multiply, field(record, "from"), field(record, "vectors"), to, paddedRows(record), 0, 0, 0);
  });
  return {
    header: [`qklab choice: inner products of ${width} numbers with ${vectors} vectors`],
    functions: [multiply, products, nearestFunction(multiply, columns, paddedRows)],
    exports: ["products", "nearest"],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}

/** `nearest(record, scratch)`: the extremes of every row's products, lane by lane, the first of equal ones. */
function nearestFunction(
  multiply: WasmFunction,
  columns: number,
  paddedRows: (record: Local) => Value,
): WasmFunction {
  const comment = "largest and smallest product of every row";
  return defineFunction("nearest", comment, ["record", "scratch"], false, (b, record, scratch) => {
    b.call(multiply, field(record, "from"), field(record, "vectors"), scratch, paddedRows(record), 0, 0, 0);
    const [row, at] = ["row", "at"].map((name) => b.local("i32", name));
    const [high, low, highAt, lowAt] = ["high", "low", "highAt", "lowAt"].map((name) =>
      b.local("v128", name),
    );
    const to = b.let("to", field(record, "to"));
    const from = b.let("from", scratch);
    b.for(row, 0, field(record, "rows"), 1, () => {
      b.set(high, f32x4.constant(-Infinity));
      b.set(low, f32x4.constant(Infinity));
      b.set(highAt, f32x4.bits(0));
      b.set(lowAt, f32x4.bits(0));
      b.for(at, 0, 4 * columns, 16, () => {
        const four = b.let("four", f32x4.load(i32.add(from, at)));
        const here = b.let("here", f32x4.splatInteger(at));
        const larger = b.let("larger", f32x4.greater(four, high));
        b.set(high, f32x4.select(four, high, larger));
        b.set(highAt, f32x4.select(here, highAt, larger));
        const smaller = b.let("smaller", f32x4.less(four, low));
        b.set(low, f32x4.select(four, low, smaller));
        b.set(lowAt, f32x4.select(here, lowAt, smaller));
      });
      const lanes = f32x4.lanes([0, 1, 2, 3]);
      b.store(to, high);
      b.store(to, i32x4.add(i32x4.shiftRight(highAt, 2), lanes), 16);
      b.store(to, low, 32);
      b.store(to, i32x4.add(i32x4.shiftRight(lowAt, 2), lanes), 48);
      b.set(to, i32.add(to, extremesBytes));
      b.set(from, i32.add(from, 4 * columns));
    });
  });
}
