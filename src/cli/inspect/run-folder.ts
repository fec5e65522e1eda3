/** @file `inspect FOLDER`: how a run stands, read without locking it, so that a running one can be looked at. */
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { measurement } from "../../compare/labels.ts";
import { decodeNumbers } from "../../train/json-numbers.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/inspect.ts";
import { exitCodes } from "../exit-codes.ts";
import { type Section } from "../printing.ts";
import { printNumber } from "../quantities.ts";
import { type Session } from "../session.ts";
import { columns, factTable } from "./tables.ts";

const metrics = v.record(v.string(), v.number());

const configSchema = v.object({
  task: v.string(),
  selector: v.string(),
  seed: v.number(),
  learningRate: v.number(),
  settings: v.record(v.string(), v.unknown()),
  device: v.exactOptional(v.picklist(["wasm", "jax"])),
});
const summarySchema = v.object({
  steps: v.number(),
  validation: metrics,
  test: metrics,
  stepMs: v.number(),
  trainMs: v.number(),
  peakMemoryBytes: v.optional(v.number()),
  notes: v.optional(v.array(v.string())),
});
const failureSchema = v.object({ code: v.string(), message: v.string() });
const recordSchema = v.object({ step: v.number(), loss: v.optional(v.number()) });

/** A run as `inspect --json` prints it. */
export interface RunDescription extends v.InferOutput<typeof configSchema> {
  readonly kind: "run";
  readonly folder: string;
  readonly state: keyof typeof texts.states;
  readonly failure?: v.InferOutput<typeof failureSchema>;
  /** The last line of metrics.jsonl. */
  readonly last?: { readonly step: number; readonly loss?: number | undefined };
  readonly summary?: v.InferOutput<typeof summarySchema>;
}

/** Reads a run's folder; nothing is changed there. */
export async function describeRun(folder: string): Promise<RunDescription> {
  const at = (name: string): string => join(folder, name);
  const config = await readJson(at("config.json"), configSchema);
  const [isDone, isFailed, isRunning] = await Promise.all(
    ["DONE", "FAILED", "RUNNING.lock"].map((name) => exists(at(name))),
  );
  const last = await lastRecord(at("metrics.jsonl"));
  return {
    kind: "run",
    folder,
    state: isDone ? "done" : isFailed ? "failed" : isRunning ? "running" : "stopped",
    ...config,
    ...(isFailed ? { failure: await readJson(at("FAILED"), failureSchema) } : {}),
    ...(last === undefined ? {} : { last }),
    ...(isDone ? { summary: await readJson(at("summary.json"), summarySchema) } : {}),
  };
}

/** What is known of a run, and its measurements once it is done. */
export function runSections(run: RunDescription, { say, language }: Session): Section[] {
  const { folder, selector, task, seed, learningRate, settings, state, last, summary, failure } = run;
  return [
    {
      title: texts.run(folder),
      table: factTable(
        {
          state: say(texts.states[state]),
          selector,
          task,
          seed: String(seed),
          learningRate: String(learningRate),
          step: last === undefined ? undefined : String(last.step + 1),
          loss: last?.loss === undefined ? undefined : printNumber(last.loss),
          failure: failure?.message,
        },
        say,
      ),
    },
    { title: texts.settings, table: settingsTable(settings) },
    ...(summary === undefined
      ? []
      : [{ title: texts.measurements, table: measurementTable(summary, language) }]),
  ];
}

/** Settings by name, as they are written after --set. */
export function settingsTable(settings: Readonly<Record<string, unknown>>): NonNullable<Section["table"]> {
  return {
    columns: columns("setting", "value"),
    rows: Object.entries(settings).map(([setting, value]) => ({
      setting,
      value: typeof value === "string" ? value : JSON.stringify(value),
    })),
  };
}

/** What a summary measured: on validation and test data, and of the run itself. */
export function measurementTable(
  summary: Pick<
    v.InferOutput<typeof summarySchema>,
    "validation" | "test" | "stepMs" | "trainMs" | "peakMemoryBytes"
  >,
  language: Session["language"],
): NonNullable<Section["table"]> {
  const { validation, test, stepMs, trainMs, peakMemoryBytes } = summary;
  const names = new Set([...Object.keys(validation), ...Object.keys(test)]);
  const ofRun = { stepMs, trainMs, ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes }) };
  const shown = (name: string, value: number | undefined): string =>
    value === undefined ? "" : measurement(name).format(value);
  return {
    columns: columns("name", "validation", "test"),
    rows: [
      ...[...names].map((name) => ({
        name: measurement(name).title[language],
        validation: shown(name, validation[name]),
        test: shown(name, test[name]),
      })),
      ...Object.entries(ofRun).map(([name, value]) => ({
        name: measurement(name).title[language],
        validation: "",
        test: shown(name, value),
      })),
    ],
  };
}

async function readJson<Schema extends v.GenericSchema>(
  path: string,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  let problem: string;
  try {
    const parsed = v.safeParse(schema, decodeNumbers(JSON.parse(await readFile(path, "utf8"))));
    if (parsed.success) return parsed.output;
    const [issue] = parsed.issues;
    problem = `${v.getDotPath(issue) ?? ""} ${issue.message}`.trim();
  } catch (error) {
    problem = (error as Error).message;
  }
  throw new CommandError("file-read", texts.badJson(path, problem), exitCodes.missing);
}

/** A line that is being written has no end yet; the one before it is the last. */
async function lastRecord(path: string): Promise<RunDescription["last"]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const line =
    text
      .slice(0, text.lastIndexOf("\n") + 1)
      .trimEnd()
      .split("\n")
      .at(-1) ?? "";
  if (line === "") return undefined;
  try {
    return v.parse(recordSchema, decodeNumbers(JSON.parse(line)));
  } catch (error) {
    throw new CommandError("file-read", texts.badJson(path, (error as Error).message), exitCodes.missing);
  }
}

/** Whether a file or folder lies there. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
