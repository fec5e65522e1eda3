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

function writeRecord<Field extends string>(
  { integers }: Arena,
  address: number,
  task: number,
  fields: readonly ("task" | Field)[],
  record: Partial<Record<Field, number>>,
): void {
  const at = address / 4;
  for (let place = 0; place < fields.length; place++) {
    const name = fields[place];
    integers[at + place] = name === "task" ? task : (record[name] ?? 0);
  }
}
