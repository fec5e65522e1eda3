/** @file The module of a recurrence: one family of code for all terms that a core may have. */
import { type WasmModule } from "../assembler/assembler.ts";
import { mostPages } from "../attention/emit-kernel.ts";
import { sumFunction } from "../attention/preparation-kernel.ts";
import { i32 } from "../assembler/values.ts";
import { backwardTasks } from "./backward-tasks.ts";
import { forwardTasks } from "./forward-tasks.ts";
import { decaysFunction } from "./scaling.ts";
import { field, type RecurrenceSpec } from "./spec.ts";
import { stepTask } from "./step-task.ts";
import { taskCode } from "./task-code.ts";

/** The module: tasks `decays`, `writeChunk`, `scan`, `readChunk`, `chunkStateGradient`, `chunkGradients`, `sumParts`, `step`. */
export function recurrenceModule(spec: RecurrenceSpec): WasmModule {
  const { core, width, valueWidth, relaxed, shared } = spec;
  const code = taskCode(spec);
  const sumParts = sumFunction(
    "sumParts",
    "a gradient, Σ over parts",
    (record) => ({
      to: field(record, "to"),
      bytes: i32.mul(field(record, "rows"), 4),
      count: field(record, "count"),
      stride: field(record, "stride"),
    }),
    relaxed,
  );
  const tasks = [
    ...(core.decay === "none" ? [] : [decaysFunction(spec)]),
    ...forwardTasks(code),
    ...backwardTasks(code),
    sumParts,
    stepTask(code),
  ];
  const decay = core.decay === "none" ? "no decay" : `a decay of each ${core.decay}`;
  const terms = [
    decay,
    core.correction ? "corrections" : "no corrections",
    core.read === "bonus" ? "a bonus" : "read after the update",
    ...(core.normalised ? [`divided by its sum + ${core.epsilon}`] : []),
  ];
  return {
    header: [
      `qklab recurrence: ${terms.join(", ")}; D = ${width}, E = ${valueWidth}; ${relaxed ? "relaxed" : "plain"} SIMD`,
    ],
    functions: [...code.functions, ...tasks],
    exports: tasks.map(({ name }) => name),
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}
