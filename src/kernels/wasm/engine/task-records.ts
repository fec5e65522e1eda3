/** @file Records of tasks as threads read them: fields of i32 at fixed places, one record after the other. */
import { type Task } from "./tasks.ts";
import { type Phase, taskNumber, type WasmEngine } from "./engine.ts";
import { recordBytes } from "./scratch.ts";

/** Numbers of a record by the names of its fields. */
export type Fields<Field extends string> = Readonly<Partial<Record<Field, number>>>;

/** A record before it is written: its own fields over those that it shares with others; what neither has is 0. */
export type RecordFields<Field extends string> = Fields<Field> & { readonly shared?: Fields<Field> };

/** Runs one task for each record. */
export function runTasks<Field extends string>(
  engine: WasmEngine,
  task: Task,
  fields: readonly ("task" | Field)[],
  records: readonly RecordFields<Field>[],
  phase: Omit<Phase, "records" | "count">,
): void {
  const { arena } = engine;
  const mark = arena.mark;
  const start = arena.take(records.length * recordBytes);
  writeRecords(arena.integers, start / 4, task, fields, records);
  engine.run({ ...phase, records: start, count: records.length });
  arena.giveBack(mark);
}

/** Records as they lie in the memory, for phases that are run again and again. */
export function writtenRecords<Field extends string>(
  task: Task,
  fields: readonly ("task" | Field)[],
  records: readonly RecordFields<Field>[],
): Int32Array {
  const written = new Int32Array((records.length * recordBytes) / 4);
  writeRecords(written, 0, task, fields, records);
  return written;
}

/** Runs one task for each record of {@link writtenRecords}. */
export function runWritten(
  engine: WasmEngine,
  records: Int32Array,
  phase: Omit<Phase, "records" | "count">,
): void {
  const { arena } = engine;
  const mark = arena.mark;
  const start = arena.take(records.byteLength);
  arena.integers.set(records, start / 4);
  engine.run({ ...phase, records: start, count: records.byteLength / recordBytes });
  arena.giveBack(mark);
}

function writeRecords<Field extends string>(
  target: Int32Array,
  start: number,
  task: Task,
  fields: readonly ("task" | Field)[],
  records: readonly RecordFields<Field>[],
): void {
  const places = placesOf(fields);
  // Records that share fields are copies of one, over which each writes its own.
  const common = new Int32Array(fields.length);
  common[places["task"]] = taskNumber(task);
  let held: Fields<Field> | undefined;
  let at = start;
  for (const record of records) {
    if (record.shared !== held) {
      held = record.shared;
      common.fill(0);
      common[places["task"]] = taskNumber(task);
      if (held !== undefined) write(common, 0, places, held);
    }
    target.set(common, at);
    write(target, at, places, record);
    at += recordBytes / 4;
  }
}

function write(
  target: Int32Array,
  at: number,
  places: Readonly<Record<string, number>>,
  record: RecordFields<string>,
): void {
  for (const name of Object.keys(record)) {
    if (name !== "shared") target[at + places[name]] = record[name]!;
  }
}

const known = new WeakMap<readonly string[], Readonly<Record<string, number>>>();

function placesOf(fields: readonly string[]): Readonly<Record<string, number>> {
  let places = known.get(fields);
  if (places === undefined) {
    places = Object.fromEntries(fields.map((name, place) => [name, place]));
    known.set(fields, places);
  }
  return places;
}
