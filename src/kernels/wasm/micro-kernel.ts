/**
 * @file The register tile that all matrix products of a kernel go through: C[4 rows × 8 lanes] ⊕= Σ_k A[m, k] ⊗ B[k, n], A read
 * from any two strides and spread over lanes, B as rows of eight lanes. 8 sums, 2 rows of B, 4 of A and 1 splat fill 15 of 16 registers.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Integer,
  type Local,
  type Value,
  type WasmFunction,
} from "./assembler.ts";

/** How one step joins a of A and b of B with the sum c. */
export type Step = "multiply" | "distance";

/** Strides are in float32 numbers. */
export interface TileProduct {
  readonly name: string;
  readonly comment: string;
  readonly a: { readonly row: number; readonly step: number };
  readonly b: { readonly step: number; readonly panel: number };
  readonly c: { readonly row: number };
  /** Number of k: a constant, or a multiple of 4 given at the call. */
  readonly steps: number | "given";
  /** Number of columns of C: a constant, or given at the call; eight at a time. */
  readonly columns: number | "given";
  /** What C holds before: nothing, numbers to add to, or numbers to multiply by a factor per row first. */
  readonly start: "zero" | "add" | "scale";
  readonly step: Step;
}

const rowsPerTile = 4;
const vectorsPerTile = 2;
const unrolled = 4;

const steps: Readonly<Record<Step, (b: FunctionBuilder, a: Value, row: Value, sum: Value) => Value>> = {
  multiply: (b, a, row, sum) => b.madd(a, row, sum),
  distance: (_, a, row, sum) => f32x4.add(sum, f32x4.abs(f32x4.sub(a, row))),
};

/**
 * The function `name(a, b, c, rows, columns, steps, factors)`: rows of C are computed four at a time, `factors` are those of
 * `start: "scale"`.
 */
export function tileProduct(relaxed: boolean, product: TileProduct): WasmFunction {
  const { name, comment, a, b: right, c, steps: stepCount, columns: columnCount, start, step } = product;
  return defineFunction(
    name,
    comment,
    ["a", "b", "c", "rows", "columns", "steps", "factors"],
    relaxed,
    (b, aStart, bStart, cStart, rows, columns, givenSteps, factors) => {
      const column = b.local("i32", "column");
      const row = b.local("i32", "row");
      const aRow = b.local("i32", "aRow");
      const bPanel = b.let("bPanel", bStart);
      const aAt = b.local("i32", "aAt");
      const bAt = b.local("i32", "bAt");
      const k = b.local("i32", "k");
      const cAt = b.local("i32", "cAt");
      const sums = Array.from({ length: rowsPerTile * vectorsPerTile }, (_, index) =>
        b.local("v128", `sum${Math.floor(index / vectorsPerTile)}${index % vectorsPerTile}`),
      );
      const low = b.local("v128", "b0");
      const high = b.local("v128", "b1");
      const splat = b.local("v128", "a");
      const rowVectors = [0, 1, 2, 3].map((m) => b.local("v128", `a${m}`));
      b.for(column, 0, columnCount === "given" ? columns : columnCount, 8, () => {
        b.set(aRow, aStart);
        b.for(row, 0, rows, rowsPerTile, () => {
          b.set(cAt, i32.add(cStart, i32.add(i32.mul(row, 4 * c.row), i32.mul(column, 4))));
          emitStart(b, start, sums, cAt, c.row, i32.add(factors, i32.mul(row, 4)));
          b.set(aAt, aRow);
          b.set(bAt, bPanel);
          const one = (at: number): void => {
            b.set(low, f32x4.load(bAt, 4 * at * right.step));
            b.set(high, f32x4.load(bAt, 4 * at * right.step + 16));
            for (let m = 0; m < rowsPerTile; m++) {
              b.set(splat, f32x4.splatAt(aAt, 4 * (m * a.row + at * a.step)));
              b.set(sums[2 * m], steps[step](b, splat, low, sums[2 * m]));
              b.set(sums[2 * m + 1], steps[step](b, splat, high, sums[2 * m + 1]));
            }
          };
          const four = (): void => {
            // Where one load reads four numbers of A, lanes are spread by shuffles: fewer loads, which are what limits.
            const along = a.step === 1 ? rowVectors : undefined;
            along?.forEach((vector, m) => b.set(vector, f32x4.load(aAt, 4 * m * a.row)));
            for (let at = 0; at < unrolled; at++) {
              b.set(low, f32x4.load(bAt, 4 * at * right.step));
              b.set(high, f32x4.load(bAt, 4 * at * right.step + 16));
              if (along === undefined) b.set(rowVectors[0], f32x4.load(aAt, 4 * at * a.step));
              for (let m = 0; m < rowsPerTile; m++) {
                const [source, lane] = along === undefined ? [rowVectors[0], m] : [along[m], at];
                b.set(splat, f32x4.shuffle(source, source, [lane, lane, lane, lane]));
                b.set(sums[2 * m], steps[step](b, splat, low, sums[2 * m]));
                b.set(sums[2 * m + 1], steps[step](b, splat, high, sums[2 * m + 1]));
              }
            }
          };
          const canShuffle = relaxed && (a.step === 1 || a.row === 1);
          const many = (count: number): void => {
            if (canShuffle && count === unrolled) four();
            else for (let at = 0; at < count; at++) one(at);
          };
          const whole: Integer = stepCount === "given" ? givenSteps : stepCount - (stepCount % unrolled);
          b.for(k, 0, whole, unrolled, () => {
            many(unrolled);
            b.set(aAt, i32.add(aAt, 4 * unrolled * a.step));
            b.set(bAt, i32.add(bAt, 4 * unrolled * right.step));
          });
          if (stepCount !== "given") many(stepCount % unrolled);
          sums.forEach((sum, index) => {
            b.store(cAt, sum, 4 * c.row * Math.floor(index / vectorsPerTile) + 16 * (index % vectorsPerTile));
          });
          b.set(aRow, i32.add(aRow, 4 * rowsPerTile * a.row));
        });
        b.set(bPanel, i32.add(bPanel, 4 * right.panel));
      });
    },
  );
}

function emitStart(
  b: FunctionBuilder,
  start: TileProduct["start"],
  sums: readonly Local[],
  cAt: Value,
  cRow: number,
  factorsAt: Value,
): void {
  const held = (index: number): Value =>
    f32x4.load(cAt, 4 * cRow * Math.floor(index / vectorsPerTile) + 16 * (index % vectorsPerTile));
  sums.forEach((sum, index) => {
    if (start === "zero") b.set(sum, f32x4.constant(0));
    else if (start === "add") b.set(sum, held(index));
    else b.set(sum, f32x4.mul(held(index), f32x4.splatAt(factorsAt, 4 * Math.floor(index / vectorsPerTile))));
  });
}
