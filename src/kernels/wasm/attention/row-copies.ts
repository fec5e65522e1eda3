/**
 * @file Rows and their copies under a rearrangement: copies made of lifted rows, their sums brought back to the rows, and
 * the results of a row joined from those of all its copies. All arrays are [rows, width] in the virtual order, where the
 * first `count` rows are themselves.
 */
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { rowBlocks } from "./head-rows.ts";
import { type CopyField, copyFields, copyModule } from "./row-copies-kernel.ts";
import { runTasks } from "../engine/task-records.ts";

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

export type CopyTask = "copyRows" | "addCopies" | "joinCopies";
type CopyRecord = Partial<Record<Exclude<CopyField, "task">, number>>;

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
 * Tasks over one array: `copyRows` writes every copy of a row, `addCopies` adds every copy to its row, `joinCopies` adds
 * rows and copies times their factors.
 *
 * @param width - a multiple of 4
 */
export function copyRecords(
  task: CopyTask,
  { count, length, order, inverse }: CopyLists,
  data: number,
  width: number,
  factors = 0,
): readonly CopyRecord[] {
  const { starts, copies } = task === "copyRows" ? { starts: 0, copies: 0 } : inverse();
  const [from, rows] = task === "copyRows" ? [count, length - count] : [0, count];
  return rowBlocks(rows).map((block) => ({
    data,
    rowBytes: 4 * width,
    first: from + block.first,
    rows: block.rows,
    order,
    starts,
    copies,
    factors,
  }));
}

/** Runs tasks of {@link copyRecords}. */
export function runCopies(engine: WasmEngine, task: CopyTask, records: readonly CopyRecord[]): void {
  if (records.length === 0) return;
  const kernel = codes.get(engine) ?? engine.compile(copyModule(engine.shared));
  codes.set(engine, kernel);
  runTasks(engine, task, copyFields, records, { kernel, scratch: 0, scratchBytes: 0 });
}

const codes = new WeakMap<WasmEngine, KernelCode>();

/**
 * The share that every copy of a row has in its softmax, as copies see different keys: e^lse = Σ_p e^{lse_p},
 * f_p = e^{lse_p − lse}. A copy without keys has lse −∞ and weighs nothing. The lse of a row becomes that of all its copies.
 *
 * @param logSumExp - of all virtual rows
 * @param sink - is part of every e^{lse_p}, and stays in the sum once
 */
export function joinFactors(
  logSumExp: Float32Array,
  order: Int32Array,
  count: number,
  sink: number | undefined,
): Float32Array {
  const top = Float64Array.from(logSumExp.subarray(0, count));
  for (let virtual = count; virtual < order.length; virtual++) {
    top[order[virtual]] = Math.max(top[order[virtual]], logSumExp[virtual]);
  }
  const factors = new Float32Array(order.length);
  const masses = new Float64Array(count);
  for (let virtual = 0; virtual < order.length; virtual++) {
    const lse = logSumExp[virtual];
    if (lse === -Infinity) continue;
    const row = order[virtual];
    const share = Math.exp(lse - top[row]);
    factors[virtual] = share;
    const isFirst = masses[row] === 0;
    masses[row] += sink === undefined || isFirst ? share : share - Math.exp(sink - top[row]);
  }
  for (let virtual = 0; virtual < order.length; virtual++) {
    if (factors[virtual] !== 0) factors[virtual] /= masses[order[virtual]];
  }
  for (let row = 0; row < count; row++) {
    if (masses[row] !== 0) logSumExp[row] = top[row] + Math.log(masses[row]);
  }
  return factors;
}
