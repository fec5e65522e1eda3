/** @file Records of tasks as threads read them: fields of i32 at fixed places, one record after the other. */
import { type Arena } from "./arena.ts";
import { type Task } from "./emit-kernel.ts";
import { type Phase, taskNumber, type WasmEngine } from "./engine.ts";
import { recordBytes } from "./scratch.ts";

/** Runs one task for each record; fields that a record leaves out are 0. */
export function runTasks<Field extends string>(
  engine: WasmEngine,
  task: Task,
  fields: readonly ("task" | Field)[],
  records: readonly Partial<Record<Field, number>>[],
  { kernel, scratch, scratchBytes }: Pick<Phase, "kernel" | "scratch" | "scratchBytes">,
): void {
  const { arena } = engine;
  const mark = arena.mark;
  const start = arena.take(records.length * recordBytes);
  records.forEach((record, index) =>
    writeRecord(arena, start + index * recordBytes, taskNumber(task), fields, record),
  );
  engine.run({ kernel, records: start, count: records.length, scratch, scratchBytes });
  arena.giveBack(mark);
}

const placesOfFields = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

function placesOf(fields: readonly string[]): ReadonlyMap<string, number> {
  const places = placesOfFields.get(fields) ?? new Map(fields.map((name, place) => [name, place]));
  placesOfFields.set(fields, places);
  return places;
}

function writeRecord<Field extends string>(
  { integers }: Arena,
  address: number,
  task: number,
  fields: readonly ("task" | Field)[],
  record: Partial<Record<Field, number>>,
): void {
  const at = address / 4;
  const places = placesOf(fields);
  integers.fill(0, at, at + fields.length);
  integers[at + places.get("task")!] = task;
  // By for…in, as looking each field up costs ten times as much, and calls of many heads have thousands of records.
  for (const name in record) integers[at + places.get(name)!] = record[name] ?? 0;
}
