/**
 * @file The register tile that all matrix products of a kernel go through: C[4 rows × 8 lanes] ⊕= Σ_k A[m, k] ⊗ B[k, n], A read
 * from any two strides and spread over lanes, B as rows of eight lanes. 8 sums, 2 rows of B, 4 of A and 1 splat fill 15 of 16 registers.
 * A single row has a tile of its own, as wide as B lies in one piece: each number is summed in the same order, and every
 * number of B is used as it is loaded, in the order of the memory.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Integer,
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
  /** Rows of C computed at once: 4 when absent. */
  readonly rows?: 1 | 4;
}

const lanes = 4;
/** Vectors of B that are read together: those of a panel. */
const vectorsOfPanel = 2;

/**
 * Vectors of C side by side in a tile: as many as registers hold. One row reads B once, from memory rather than from a
 * cache, and memory is fastest in one ascending stream: where panels lie apart, one after the other.
 */
function vectorsOfTile({ rows = 4, b }: TileProduct): number {
  return rows === 1 && b.panel === vectorsOfPanel * lanes ? 16 : vectorsOfPanel;
}
const unrolled = 4;

const steps: Readonly<Record<Step, (b: FunctionBuilder, a: Value, row: Value, sum: Value) => Value>> = {
  multiply: (b, a, row, sum) => b.madd(a, row, sum),
  distance: (_, a, row, sum) => f32x4.add(sum, f32x4.abs(f32x4.sub(a, row))),
};

/**
 * The function `name(a, b, c, rows, columns, steps, factors)`: rows of C are computed four at a time, or one by one;
 * `factors` are those of `start: "scale"`.
 */
export function tileProduct(relaxed: boolean, product: TileProduct): WasmFunction {
  const { name, comment, a, b: right, c, steps: stepCount, columns: columnCount, start, step } = product;
  const rowsPerTile = product.rows ?? 4;
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
      const widest = vectorsOfTile(product);
      const allSums = Array.from({ length: rowsPerTile * widest }, (_, index) =>
        b.local("v128", `sum${Math.floor(index / widest)}${index % widest}`),
      );
      // Numbers of B that several rows use are held; a single row uses them as they come.
      const held = rowsPerTile === 1 ? undefined : [b.local("v128", "b0"), b.local("v128", "b1")];
      const splat = b.local("v128", "a");
      const rowVectors = [0, 1, 2, 3].slice(0, rowsPerTile).map((m) => b.local("v128", `a${m}`));

      /** All rows of C, in the columns of one tile of so many vectors. */
      const block = (vectors: number): void => {
        const sums = allSums.slice(0, rowsPerTile * vectors);
        const places = sums.map((_, index) => ({
          row: Math.floor(index / vectors),
          vector: index % vectors,
        }));
        const rightOf = (vector: number, at: number): Value => {
          const panel = 4 * right.panel * (vector >> 1);
          return f32x4.load(bAt, 4 * at * right.step + panel + 16 * (vector & 1));
        };
        const one = (at: number, spread: (m: number) => Value): void => {
          held?.forEach((vector, index) => b.set(vector, rightOf(index, at)));
          for (let m = 0; m < rowsPerTile; m++) {
            b.set(splat, spread(m));
            for (let vector = 0; vector < vectors; vector++) {
              const sum = sums[m * vectors + vector];
              b.set(sum, steps[step](b, splat, held?.[vector] ?? rightOf(vector, at), sum));
            }
          }
        };
        const four = (): void => {
          // Where one load reads four numbers of A, lanes are spread by shuffles: fewer loads, which are what limits.
          const isAlong = a.step === 1;
          if (isAlong) rowVectors.forEach((vector, m) => b.set(vector, f32x4.load(aAt, 4 * m * a.row)));
          for (let at = 0; at < unrolled; at++) {
            if (!isAlong) b.set(rowVectors[0], f32x4.load(aAt, 4 * at * a.step));
            one(at, (m) => {
              const [source, lane] = isAlong ? [rowVectors[m], at] : [rowVectors[0], m];
              return f32x4.shuffle(source, source, [lane, lane, lane, lane]);
            });
          }
        };
        const canShuffle = relaxed && (a.step === 1 || a.row === 1);
        const many = (count: number): void => {
          if (canShuffle && count === unrolled) four();
          else {
            for (let at = 0; at < count; at++)
              one(at, (m) => f32x4.splatAt(aAt, 4 * (m * a.row + at * a.step)));
          }
        };
        b.set(aRow, aStart);
        b.for(row, 0, rows, rowsPerTile, () => {
          b.set(cAt, i32.add(cStart, i32.add(i32.mul(row, 4 * c.row), i32.mul(column, 4))));
          const factorsAt = i32.add(factors, i32.mul(row, 4));
          places.forEach((place, index) => {
            b.set(
              sums[index],
              startOf(start, f32x4.load(cAt, 4 * c.row * place.row + 16 * place.vector), () =>
                f32x4.splatAt(factorsAt, 4 * place.row),
              ),
            );
          });
          b.set(aAt, aRow);
          b.set(bAt, bPanel);
          const whole: Integer = stepCount === "given" ? givenSteps : stepCount - (stepCount % unrolled);
          b.for(k, 0, whole, unrolled, () => {
            many(unrolled);
            b.set(aAt, i32.add(aAt, 4 * unrolled * a.step));
            b.set(bAt, i32.add(bAt, 4 * unrolled * right.step));
          });
          if (stepCount !== "given") many(stepCount % unrolled);
          places.forEach((place, index) => {
            b.store(cAt, sums[index], 4 * c.row * place.row + 16 * place.vector);
          });
          b.set(aRow, i32.add(aRow, 4 * rowsPerTile * a.row));
        });
        b.set(bPanel, i32.add(bPanel, (4 * right.panel * vectors) / 2));
      };

      const width = lanes * widest;
      if (columnCount === "given") {
        if (width === 8) {
          b.for(column, 0, columns, width, () => block(widest));
          return;
        }
        const whole = b.let("whole", i32.and(columns, -width));
        b.for(column, 0, whole, width, () => block(widest));
        b.for(column, whole, columns, 8, () => block(2));
        return;
      }
      const rest = columnCount % width;
      b.for(column, 0, columnCount - rest, width, () => block(widest));
      if (rest > 0) b.for(column, columnCount - rest, columnCount, rest, () => block(rest / lanes));
    },
  );
}

/** What a sum begins with. */
function startOf(start: TileProduct["start"], before: Value, factor: () => Value): Value {
  if (start === "zero") return f32x4.constant(0);
  return start === "add" ? before : f32x4.mul(before, factor());
}
