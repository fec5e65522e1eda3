/**
 * @file The code that walks over the pairs of one tile: what rows and keys know of themselves is computed first, then
 * scores four keys at a time, with the predicates that exclude pairs.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  type Integer,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { type KernelSpec, tileKeys, tileRows } from "./kernel-spec.ts";
import { emitProgram, type ScoreProgram } from "../score/score-program.ts";
import { field } from "../engine/scratch.ts";
import { type ScratchLayout } from "./scratch-layout.ts";

/** What pair code is emitted from. */
export interface Emission {
  readonly spec: KernelSpec;
  readonly layout: ScratchLayout;
}

/** Programs of more instructions a pair gain nothing from being written twice a turn of their loop. */
const mostUnrolled = 24;

const indexOfVariable = (name: string): number => Number(/_(\d+)$/.exec(name)?.[1] ?? 0);

/** `name(record, scratch, firstRow, rows)`: values of {@link ScoreProgram.rows} for a row tile. Undefined when there are none. */
export function rowValuesFunction(
  name: string,
  program: ScoreProgram,
  { spec, layout }: Emission,
): WasmFunction | undefined {
  return valuesFunction(name, program, "row", spec, layout.rowValues, tileRows);
}

/** `name(record, scratch, firstKey, columns)`: values of {@link ScoreProgram.keys} for a key tile. */
export function keyValuesFunction(
  name: string,
  program: ScoreProgram,
  { spec, layout }: Emission,
): WasmFunction | undefined {
  return valuesFunction(name, program, "key", spec, layout.keyValues, tileKeys);
}

function valuesFunction(
  name: string,
  program: ScoreProgram,
  rate: "row" | "key",
  { relaxed }: KernelSpec,
  to: number,
  extent: number,
): WasmFunction | undefined {
  const wanted = rate === "row" ? program.rows : program.keys;
  if (wanted.length === 0) return undefined;
  const comment = `numbers of a score that change from ${rate} to ${rate}`;
  return defineFunction(
    name,
    comment,
    ["record", "scratch", "first", "count"],
    relaxed,
    (b, record, scratch, first, count) => {
      const norms = b.let(
        "norms",
        i32.add(field(record, rate === "row" ? "queryNorm" : "keyNorm"), i32.mul(first, 4)),
      );
      const stride = b.let("stride", field(record, rate === "row" ? "queryNormStride" : "keyNormStride"));
      const head = b.let("head", field(record, "head"));
      const at = b.local("i32", "at");
      b.for(at, 0, count, 4, () => {
        const values = emitProgram(b, program, rate, wanted, {
          variable: (variable) =>
            f32x4.load(i32.add(i32.add(norms, i32.mul(at, 4)), i32.mul(stride, indexOfVariable(variable)))),
          crossing: (_, index) => f32x4.splatAt(head, 4 * index),
        });
        const place = b.let("place", i32.add(scratch, i32.mul(at, 4)));
        values.forEach((value, index) => b.store(place, value, to + 4 * extent * index));
      });
    },
  );
}

/** The tile that pair code walks over. */
export interface TileCode {
  readonly record: Local;
  readonly scratch: Local;
  /** First key of the tile, in the sequence of keys. */
  readonly firstKey: Local;
  readonly rows: Local;
  /** Keys of the tile, rounded up to eight. */
  readonly columns: Local;
  /** Bits of allowed pairs, eight bytes a row. */
  readonly bits: Local;
  /** First row of the tile, in the sequence of queries. */
  readonly firstRow: Local;
  /** The first row and the first key, a multiple of 8, that are walked over; `rows` and `columns` are where they end. */
  readonly from?: Integer;
  readonly firstColumn?: Integer;
}

/** What a row of pair code has at hand. */
export interface RowCode {
  readonly row: Local;
  /** Bytes of the row number: 4·row. */
  readonly rowBytes: Local;
  /** Runs over the keys of the row, four at a time. */
  readonly forKeys: (body: (pair: PairVectors) => void) => void;
  /** Emits the program's outputs for the four pairs. */
  readonly evaluate: (pair: PairVectors, wanted: readonly number[]) => Value[];
  /** Score plus biases, from the program's own score; every predicate is in `allowed`. */
  readonly biased: (pair: PairVectors, score: Value) => Value;
  /** The predicate of the four pairs, a mask of bits, or nothing where all count. */
  readonly allowed: (pair: PairVectors, score: Value) => Value | undefined;
}

export interface PairVectors {
  /** Key within the tile. */
  readonly column: Local;
  /** Address of the pair in the first tile of the scratch memory, tiles follow each other. */
  readonly at: Local;
}

/** Walks over the rows of a tile. `masked` code asks every predicate, other code none. */
export function forRows(
  b: FunctionBuilder,
  { spec, layout }: Emission,
  program: ScoreProgram,
  tile: TileCode,
  masked: boolean,
  body: (row: RowCode) => void,
): void {
  const { record, scratch, firstKey, rows, columns, bits, firstRow, from = 0, firstColumn = 0 } = tile;
  const row = b.local("i32", "row");
  const rowBytes = b.local("i32", "rowBytes");
  const head = b.let("head", field(record, "head"));
  const headValues = program.head.map((_, index) => b.let(`head${index}`, f32x4.splatAt(head, 4 * index)));
  const limit = masked ? b.let("limit", f32x4.splatInteger(field(record, "limit"))) : undefined;
  const table = spec.hasTable ? b.let("table", field(record, "table")) : undefined;
  const bias = spec.hasBias ? b.let("bias", field(record, "bias")) : undefined;
  const biasStride = spec.hasBias ? b.let("biasStride", field(record, "biasStride")) : undefined;
  const mask = spec.hasMask ? b.let("mask", field(record, "mask")) : undefined;
  const maskStride = spec.hasMask ? b.let("maskStride", field(record, "maskStride")) : undefined;
  const isShort = program.rates.filter((rate) => rate === "pair").length <= mostUnrolled;
  b.for(row, from, rows, 1, () => {
    b.set(rowBytes, i32.mul(row, 4));
    const rowScratch = b.let("rowScratch", i32.add(scratch, rowBytes));
    const rowValues = program.rows.map((_, index) =>
      b.let(`row${index}`, f32x4.splatAt(rowScratch, layout.rowValues + 4 * tileRows * index)),
    );
    const start = b.let("start", i32.add(scratch, i32.mul(row, 4 * tileKeys)));
    const queryRow = b.let("queryRow", i32.add(firstRow, row));
    const tableRow =
      table === undefined
        ? undefined
        : b.let("tableRow", i32.add(table, i32.mul(i32.sub(firstKey, queryRow), 4)));
    const biasRow =
      bias === undefined
        ? undefined
        : b.let("biasRow", i32.add(i32.add(bias, i32.mul(queryRow, biasStride!)), i32.mul(firstKey, 4)));
    const maskRow =
      mask === undefined
        ? undefined
        : b.let("maskRow", i32.add(i32.add(mask, i32.mul(queryRow, maskStride!)), firstKey));
    const bitsRow = masked ? b.let("bitsRow", i32.add(bits, i32.mul(row, 8))) : undefined;
    const threshold = spec.selects
      ? b.let("threshold", f32x4.splatAt(i32.add(field(record, "threshold"), i32.mul(queryRow, 4))))
      : undefined;
    const tie = spec.selects
      ? b.let("tie", f32x4.splatAt(i32.add(field(record, "tie"), i32.mul(queryRow, 4))))
      : undefined;
    body({
      row,
      rowBytes,
      forKeys(inner) {
        const column = b.local("i32", "column");
        const at = b.local("i32", "at");
        b.set(at, i32.add(start, i32.mul(firstColumn, 4)));
        b.for(column, firstColumn, columns, isShort ? 8 : 4, () => {
          inner({ column, at });
          if (isShort) {
            inner({ column: b.let("nextColumn", i32.add(column, 4)), at: b.let("nextAt", i32.add(at, 16)) });
          }
          b.set(at, i32.add(at, isShort ? 32 : 16));
        });
      },
      evaluate: ({ column, at }, wanted) =>
        emitProgram(b, program, "pair", wanted, {
          variable: (name) => f32x4.load(at, layout.inner[indexOfVariable(name)]),
          crossing: (rate, index) => {
            if (rate === "head") return headValues[index];
            if (rate === "row") return rowValues[index];
            return f32x4.load(i32.add(scratch, i32.mul(column, 4)), layout.keyValues + 4 * tileKeys * index);
          },
        }),
      biased({ column }, score) {
        let sum = score;
        if (tableRow !== undefined) sum = f32x4.add(sum, f32x4.load(i32.add(tableRow, i32.mul(column, 4))));
        if (biasRow !== undefined) sum = f32x4.add(sum, f32x4.load(i32.add(biasRow, i32.mul(column, 4))));
        return sum;
      },
      allowed({ column }, score) {
        if (!masked) return undefined;
        const key = b.let(
          "key",
          i32x4.add(f32x4.splatInteger(i32.add(firstKey, column)), f32x4.lanes([0, 1, 2, 3])),
        );
        const word = i32.load(i32.add(bitsRow!, i32.and(i32.shiftRight(column, 3), 4)));
        const four = f32x4.splatInteger(i32.shiftRight(word, column));
        const zero = f32x4.bits(0);
        let allowed = f32x4.and(
          i32x4.notEqual(f32x4.and(four, f32x4.lanes([1, 2, 4, 8])), zero),
          i32x4.less(key, limit!),
        );
        if (maskRow !== undefined) {
          const bytes = i32x4.widenLow(i32x4.widenBytes(i32x4.bytes(i32.add(maskRow, column))));
          allowed = f32x4.and(allowed, i32x4.notEqual(bytes, zero));
        }
        if (threshold !== undefined && tie !== undefined) {
          const isBest = f32x4.or(
            f32x4.greater(score, threshold),
            f32x4.andNot(f32x4.equal(score, threshold), i32x4.greater(key, tie)),
          );
          allowed = f32x4.and(allowed, isBest);
        }
        return b.let("allowed", allowed);
      },
    });
  });
}

/** Whether every tile goes through masked code: a mask tensor or a selection knows every pair. */
export function alwaysMasked({ hasMask, selects }: KernelSpec): boolean {
  return hasMask || selects;
}
