/**
 * @file Rows and their copies under a rearrangement: copies made of lifted rows, their sums brought back to the rows, and
 * the results of a row joined from those of all its copies. All arrays are [rows, width] in the virtual order, where the
 * first `count` rows are themselves.
 */
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { rowBlocks } from "./head-rows.ts";
import { type CopyField, copyFields, copyModule } from "./row-copies-kernel.ts";
import { f32Bits } from "../assembler/values.ts";
import { type RecordFields, runTasks } from "../engine/task-records.ts";

/** The lists of one order in the memory of a call. */
export interface CopyLists {
  /** Rows that are themselves, and all rows. */
  readonly count: number;
  readonly length: number;
  /** Address of the order. */
  readonly order: number;
  /** Addresses of the copies of every row, written when they are first asked for. */
  readonly inverse: () => { readonly starts: number; readonly copies: number };
}

export type CopyTask = "copyRows" | "copyNumbers" | "addCopies" | "joinCopies";
/** What rows are joined by: addresses of log-sum-exp and of room for factors, one number a virtual row, and a sink. */
export interface RowJoin {
  readonly logSumExp: number;
  readonly factors: number;
  readonly sink: number | undefined;
}

type CopyRecord = RecordFields<Exclude<CopyField, "task">>;

/** The copies of every row, ascending: those of r are copies[starts[r] … starts[r + 1]). */
export function copiesOf(
  order: Int32Array,
  count: number,
): { readonly starts: Int32Array; readonly copies: Int32Array } {
  const starts = new Int32Array(count + 1);
  for (let virtual = count; virtual < order.length; virtual++) starts[order[virtual] + 1] += 1;
  for (let row = 0; row < count; row++) starts[row + 1] += starts[row];
  const next = starts.slice();
  const copies = new Int32Array(order.length - count);
  for (let virtual = count; virtual < order.length; virtual++) copies[next[order[virtual]]++] = virtual;
  return { starts, copies };
}

/** Writes the lists of an order into the memory of the present call. */
export function writeCopyLists({ arena }: WasmEngine, order: Int32Array, count: number): CopyLists {
  const write = (numbers: Int32Array): number => {
    const address = arena.take(4 * Math.max(1, numbers.length));
    arena.integers.set(numbers, address / 4);
    return address;
  };
  let inverse: ReturnType<CopyLists["inverse"]> | undefined;
  return {
    count,
    length: order.length,
    order: write(order),
    inverse: () => (inverse ??= writeInverse(write, order, count)),
  };
}

const inverses = new WeakMap<Int32Array, ReturnType<typeof copiesOf>>();

function writeInverse(
  write: (numbers: Int32Array) => number,
  order: Int32Array,
  count: number,
): { readonly starts: number; readonly copies: number } {
  const { starts, copies } = inverses.get(order) ?? copiesOf(order, count);
  inverses.set(order, { starts, copies });
  return { starts: write(starts), copies: write(copies) };
}

/**
 * Tasks over one array: `copyRows` writes every copy of a row, `copyNumbers` that of a row of one number, `addCopies` adds every
 * copy to its row, `joinCopies` adds rows and copies times their shares in the row's softmax, and joins their log-sum-exp.
 *
 * @param width - a multiple of 4, or 1 for `copyNumbers`
 */
export function copyRecords(
  task: CopyTask,
  { count, length, order, inverse }: CopyLists,
  data: number,
  width: number,
  { logSumExp, factors, sink = -Infinity }: RowJoin = { logSumExp: 0, factors: 0, sink: undefined },
): readonly CopyRecord[] {
  const isCopy = task === "copyRows" || task === "copyNumbers";
  const { starts, copies } = isCopy ? { starts: 0, copies: 0 } : inverse();
  const [from, rows] = isCopy ? [count, length - count] : [0, count];
  const shared = {
    data,
    rowBytes: 4 * width,
    order,
    starts,
    copies,
    logSumExp,
    factors,
    sink: f32Bits(sink),
  };
  return rowBlocks(rows).map((block) => ({ shared, first: from + block.first, rows: block.rows }));
}

/** Runs tasks of {@link copyRecords}. */
export function runCopies(engine: WasmEngine, task: CopyTask, records: readonly CopyRecord[]): void {
  if (records.length === 0) return;
  const kernel = codes.get(engine) ?? engine.compile(copyModule(engine.shared));
  codes.set(engine, kernel);
  runTasks(engine, task, copyFields, records, { kernel, scratch: 0, scratchBytes: 0 });
}

const codes = new WeakMap<WasmEngine, KernelCode>();
