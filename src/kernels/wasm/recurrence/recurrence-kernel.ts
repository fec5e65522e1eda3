/** @file The module of a recurrence: one family of code for all terms that a core may have. */
import { type WasmFunction, type WasmModule } from "../assembler/assembler.ts";
import { hashOfText } from "../assembler/describe-module.ts";
import { mostPages } from "../engine/tasks.ts";
import { sumFunction } from "../attention/preparation-kernel.ts";
import { i32 } from "../assembler/values.ts";
import { backwardTasks } from "./backward-tasks.ts";
import { forwardTasks } from "./forward-tasks.ts";
import { channelTasks } from "./channel-tasks.ts";
import { decaysFunction } from "./scaling.ts";
import { type ChannelSpec, field, type RecurrenceSpec, specText } from "./spec.ts";
import { stepTask } from "./step-task.ts";
import { taskCode } from "./task-code.ts";

/**
 * The module. Of a matrix state: tasks `decays`, `writeChunk`, `scan`, `readChunk`, `chunkStateGradient`, `chunkGradients`,
 * `sumParts`, `step`. Of channels: `channels`, which is their step too, and `channelGradients`.
 */
export function recurrenceModule(spec: RecurrenceSpec | ChannelSpec): WasmModule {
  return spec.core === "channels" ? channelModule(spec) : matrixModule(spec);
}

/** What names the code of a spec. */
export const recurrenceHash = (spec: RecurrenceSpec | ChannelSpec): string => hashOfText(specText(spec));

function channelModule(spec: ChannelSpec): WasmModule {
  const tasks = channelTasks(spec);
  return moduleOf(
    spec,
    `channels, each a mean with a largest logarithm of its own; D = ${spec.width}`,
    tasks,
    tasks,
  );
}

function matrixModule(spec: RecurrenceSpec): WasmModule {
  const { core, width, valueWidth, relaxed } = spec;
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
  return moduleOf(
    spec,
    `${terms.join(", ")}; D = ${width}, E = ${valueWidth}`,
    [...code.functions, ...tasks],
    tasks,
  );
}

function moduleOf(
  spec: RecurrenceSpec | ChannelSpec,
  terms: string,
  functions: readonly WasmFunction[],
  tasks: readonly WasmFunction[],
): WasmModule {
  const { relaxed, shared } = spec;
  return {
    header: [
      `qklab kernel ${recurrenceHash(spec)}: recurrence, ${terms}; ${relaxed ? "relaxed" : "plain"} SIMD`,
    ],
    functions,
    exports: tasks.map(({ name }) => name),
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}
