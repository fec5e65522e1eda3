/** @file Records of tasks as threads read them: fields of i32 at fixed places, one record after the other. */
import { type Task } from "./emit-kernel.ts";
import { type Phase, taskNumber, type WasmEngine } from "./engine.ts";
import { recordBytes } from "./scratch.ts";

/** A record before it is written: fields that it and its base leave out are 0. */
export type FieldsOfTask<Field extends string> = Partial<Record<Field, number>> & {
  /** Fields that many records share; a record's own come before them. */
  readonly base?: Partial<Record<Field, number>>;
};

/** Runs one task for each record. */
export function runTasks<Field extends string>(
  engine: WasmEngine,
  task: Task,
  fields: readonly ("task" | Field)[],
  records: readonly FieldsOfTask<Field>[],
  { kernel, scratch, scratchBytes }: Pick<Phase, "kernel" | "scratch" | "scratchBytes">,
): void {
  const { arena } = engine;
  const mark = arena.mark;
  const start = arena.take(records.length * recordBytes);
  const { integers } = arena;
  const places = new Map<string, number>(fields.map((name, place) => [name, place]));
  const bases = new Map<unknown, Int32Array>();
  records.forEach((record, index) => {
    const { base } = record;
    const shared = bases.get(base) ?? numbersOf(fields, base ?? {}, taskNumber(task));
    bases.set(base, shared);
    const at = (start + index * recordBytes) / 4;
    integers.set(shared, at);
    for (const name in record) if (name !== "base") integers[at + places.get(name)!] = record[name as Field]!;
  });
  engine.run({ kernel, records: start, count: records.length, scratch, scratchBytes });
  arena.giveBack(mark);
}

function numbersOf<Field extends string>(
  fields: readonly ("task" | Field)[],
  record: Partial<Record<Field, number>>,
  task: number,
): Int32Array {
  return Int32Array.from(fields, (name) => (name === "task" ? task : (record[name] ?? 0)));
}
