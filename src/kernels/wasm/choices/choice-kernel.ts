/**
 * @file The code by which a selection chooses: inner products of rows and vectors, kept, or only which vector is nearest to
 * each row, or which are. Sums are plain float32 in the order of the coordinates, as the definition has them, on every machine.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  integer,
  type Integer,
  type Local,
  type Value,
  type WasmModule,
} from "../assembler/assembler.ts";
import { mostPages } from "../engine/tasks.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { tileProduct } from "../assembler/micro-kernel.ts";

/** Rows that are multiplied at a time; a task has many of them. */
export const choiceRows = 64;

/** Everything that the code depends on. */
export interface ChoiceSpec {
  readonly width: number;
  /** m */
  readonly vectors: number;
  readonly shared: boolean;
}

/** Fields of a task's record, each an i32: addresses, and numbers. */
export const choiceFields = [
  "task",
  "rows",
  "from",
  "vectors",
  "to",
  /** Vectors that count; those behind them are zeros. */
  "count",
  /** How many vectors every row chooses among, an address. */
  "counts",
  /** How many a row chooses, and the bytes from one choice's numbers to the next one's. */
  "choices",
  "stride",
] as const;
export type ChoiceField = (typeof choiceFields)[number];

const field = (record: Local, name: ChoiceField): Value => i32.load(record, 4 * choiceFields.indexOf(name));

/** Bytes of one thread's scratch memory. */
export const choiceScratchBytes = ({ vectors }: ChoiceSpec): number => 4 * choiceRows * roundUp(vectors, 8);

/** The module: tasks `products`, `nearest` and `largest`, of vectors in panels of eight. */
export function choiceModule({ width, vectors, shared }: ChoiceSpec): WasmModule {
  const columns = roundUp(vectors, 8);
  const multiply = tileProduct(false, {
    name: "multiply",
    comment: "p_ij = Σ_d a_id·b_jd, one coordinate after the other",
    a: { row: width, step: 1 },
    b: { step: 8, panel: 8 * width },
    c: { row: columns },
    steps: width,
    columns: "given",
    start: "zero",
    step: "multiply",
  });
  /** Multiplies a record's rows in blocks, whose products lie at `place`. */
  const inBlocks = (
    b: FunctionBuilder,
    record: Local,
    {
      place,
      columnsOf,
    }: { readonly place: (first: Local) => Value; readonly columnsOf?: (first: Local, rows: Local) => Value },
    use: (first: Local, rows: Local) => void = () => {},
  ): void => {
    const first = b.local("i32", "first");
    const total = b.let("total", field(record, "rows"));
    b.for(first, 0, total, choiceRows, () => {
      const rows = b.let("blockRows", i32.min(i32.sub(total, first), choiceRows));
      const from = i32.add(field(record, "from"), i32.mul(first, 4 * width));
      const padded = i32.and(i32.add(rows, 3), -4);
      const wanted = columnsOf?.(first, rows) ?? columns;
      b.call(multiply, from, field(record, "vectors"), place(first), padded, wanted, 0, 0);
      use(first, rows);
    });
  };
  const products = defineFunction("products", "inner products", ["record", "scratch"], false, (b, record) =>
    inBlocks(b, record, { place: (first) => i32.add(field(record, "to"), i32.mul(first, 4 * columns)) }),
  );
  const nearest = defineFunction(
    "nearest",
    "argmax[p; −p] of every row, the first of equal ones",
    ["record", "scratch"],
    false,
    (b, record, scratch) =>
      inBlocks(b, record, { place: () => scratch }, (first, rows) =>
        nearestRows(b, record, scratch, { first, rows, columns }),
      ),
  );
  const largest = defineFunction(
    "largest",
    "places of the largest products of every row, the first of equal ones first",
    ["record", "scratch"],
    false,
    (b, record, scratch) => {
      const countAt = (row: Value): Value => i32.load(i32.add(field(record, "counts"), i32.mul(row, 4)));
      // Products that no row of a block chooses among are not computed.
      const columnsOf = (first: Local, rows: Local): Value => {
        const [row, most] = ["row", "most"].map((name) => b.local("i32", name));
        b.set(most, 0);
        b.for(row, 0, rows, 1, () => {
          const count = b.let("count", countAt(i32.add(first, row)));
          b.if(i32.less(most, count), () => b.set(most, count));
        });
        return i32.and(i32.add(most, 7), -8);
      };
      inBlocks(b, record, { place: () => scratch, columnsOf }, (first, rows) => {
        const row = b.local("i32", "row");
        b.for(row, 0, rows, 1, () => {
          const own = b.let("own", i32.add(first, row));
          const from = b.let("rowAt", i32.add(scratch, i32.mul(row, 4 * columns)));
          const to = b.let("to", i32.add(field(record, "to"), i32.mul(own, 4)));
          largestOf(b, record, { from, to, count: b.let("count", countAt(own)) });
        });
      });
    },
  );
  return {
    header: [`qklab choice: inner products of ${width} numbers with ${vectors} vectors`],
    functions: [multiply, products, nearest, largest],
    exports: ["products", "nearest", "largest"],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}

/** The lanes' largest products and where they lie: the larger number, then the lower place. */
function lanesOf(
  b: FunctionBuilder,
  from: Local,
  bytes: Integer,
  extremes: readonly ("high" | "low")[],
): readonly { readonly best: Local; readonly place: Value }[] {
  const at = b.local("i32", "at");
  const found = extremes.map((name) => ({
    name,
    best: b.local("v128", name),
    where: b.local("v128", `${name}At`),
  }));
  for (const { name, best, where } of found) {
    b.set(best, f32x4.constant(name === "high" ? -Infinity : Infinity));
    b.set(where, f32x4.bits(0));
  }
  b.for(at, 0, bytes, 16, () => {
    const four = b.let("four", f32x4.load(i32.add(from, at)));
    const here = b.let("here", f32x4.splatInteger(at));
    for (const { name, best, where } of found) {
      const isBetter = b.let(
        "isBetter",
        name === "high" ? f32x4.greater(four, best) : f32x4.less(four, best),
      );
      b.set(best, f32x4.select(four, best, isBetter));
      b.set(where, f32x4.select(here, where, isBetter));
    }
  });
  return found.map(({ name, best, where }) => {
    // The smallest of four is the largest of their negatives.
    const top = b.let("top", b.maxLanes(name === "high" ? best : f32x4.neg(best)));
    const isTop = f32x4.equal(name === "high" ? best : f32x4.neg(best), top);
    const places = i32x4.add(i32x4.shiftRight(where, 2), f32x4.lanes([0, 1, 2, 3]));
    const candidates = b.let("candidates", f32x4.select(places, f32x4.bits(0x7fffffff), isTop));
    const place = [1, 2, 3].reduce<Value>(
      (least, lane) => i32.min(b.let("least", least), i32x4.lane(candidates, lane)),
      i32x4.lane(candidates, 0),
    );
    return { best: top, place };
  });
}

/** The bucket of every row of a block: the place of its largest product, or m more than that of its smallest. */
function nearestRows(
  b: FunctionBuilder,
  record: Local,
  scratch: Local,
  { first, rows, columns }: { readonly first: Local; readonly rows: Local; readonly columns: number },
): void {
  const row = b.local("i32", "row");
  b.for(row, 0, rows, 1, () => {
    const from = b.let("rowAt", i32.add(scratch, i32.mul(row, 4 * columns)));
    const [high, low] = lanesOf(b, from, 4 * columns, ["high", "low"]);
    const to = i32.add(field(record, "to"), i32.mul(i32.add(first, row), 4));
    // Vectors of zeros that fill the last panels are never the larger of the two.
    const isLow = b.let("isLow", i32x4.bitmask(f32x4.less(high.best, low.best)));
    b.store(to, high.place);
    b.if(isLow, () => b.store(to, i32.add(low.place, field(record, "count"))));
  });
}

/** The largest of a row's first products, one after the other; −1 where none is left. Taken ones become −∞. */
function largestOf(
  b: FunctionBuilder,
  record: Local,
  { from, to, count }: { readonly from: Local; readonly to: Local; readonly count: Local },
): void {
  const [choice, beyond] = ["choice", "beyond"].map((name) => b.local("i32", name));
  const minusInfinity = f32x4.constant(-Infinity);
  const bytes = b.let("bytes", i32.and(i32.add(i32.mul(count, 4), 15), -16));
  b.for(beyond, i32.mul(count, 4), bytes, 4, () => b.storeLane(i32.add(from, beyond), minusInfinity, 0));
  b.for(choice, 0, field(record, "choices"), 1, () => {
    const [{ best, place }] = lanesOf(b, from, bytes, ["high"]);
    const at = b.let("place", place);
    const isFound = b.let("isFound", i32x4.bitmask(f32x4.greater(best, minusInfinity)));
    b.if(
      isFound,
      () => {
        b.store(to, at);
        b.storeLane(i32.add(from, i32.mul(at, 4)), minusInfinity, 0);
      },
      () => b.store(to, integer(-1)),
    );
    b.set(to, i32.add(to, field(record, "stride")));
  });
}
