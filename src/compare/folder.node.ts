/**
 * @file A comparison on disk: `comparison.json` (the plan), `env.json`, `runs/<run folders>`, `report.json`, `report.html`,
 * and RUNNING.lock while it runs. Everything that a resume needs is in the plan and the run folders.
 */
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as v from "valibot";
import { writeFileAtomically } from "../checkpoints/write-atomically.node.ts";
import { MissingError } from "../base/errors.ts";
import { decodeNumbers, encodeNumbers } from "../train/json-numbers.ts";
import { type RunSummary } from "../train/run-storage.ts";
import { type ComparisonPlan, type PlannedRun } from "./plan.ts";
import { presetNames } from "./presets.ts";
import {
  comparisonResults,
  type ComparisonResults,
  type CurvePoint,
  type RunEnd,
  type RunFailure,
} from "./results.ts";
import { isDivergence } from "./schedule.node.ts";
import { thinCurve } from "./thin-curve.ts";

/** The absolute path of a run's folder in a comparison's. */
export function runFolder(folder: string, run: Pick<PlannedRun, "folder">): string {
  return join(folder, "runs", run.folder);
}

/**
 * Makes the folder of a new comparison, `<out>/<date>-<name>-<hash6>`; a second one of the day gets a number.
 *
 * @param out - where comparisons lie; made where it is missing
 * @returns its absolute path
 * @throws MissingError `file-write` where the disk refuses
 */
export async function makeComparisonFolder(
  out: string,
  name: string,
  plan: ComparisonPlan,
  date: Date,
): Promise<string> {
  const base = `${date.toISOString().slice(0, 10)}-${name.replaceAll(/[^\w.-]+/g, "-")}-${plan.id}`;
  await makeFolder(resolve(out), { recursive: true });
  for (let count = 1; ; count++) {
    const folder = resolve(out, count === 1 ? base : `${base}-${count}`);
    if (!(await makeFolder(folder))) continue;
    await writeJson(join(folder, "comparison.json"), plan);
    return folder;
  }
}

/** Makes a folder; false where the name is taken. */
async function makeFolder(folder: string, options?: { readonly recursive: true }): Promise<boolean> {
  try {
    await mkdir(folder, options);
    return true;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST" && options === undefined) return false;
    throw new MissingError(
      "file-write",
      `Cannot make ${folder} as the file system must allow it: ${message}. Choose a folder that can be written`,
      { cause },
    );
  }
}

const finite = v.pipe(v.number(), v.finite());
const settings = v.record(v.string(), v.unknown());
const run = v.object({
  id: v.string(),
  cell: v.string(),
  column: v.string(),
  // A folder of our own making: nothing in it can lead out of the comparison.
  folder: v.pipe(v.string(), v.regex(/^[\w.-]+$/), v.regex(/^[^.]/)),
  task: v.string(),
  selector: v.string(),
  seed: finite,
  learningRate: finite,
  settings,
});
const planSchema = v.pipe(
  v.object({
    version: v.literal(1),
    preset: v.picklist(presetNames),
    id: v.string(),
    columns: v.array(
      v.object({
        id: v.string(),
        task: v.string(),
        variant: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
        metric: v.object({ name: v.string(), unit: v.string(), better: v.picklist(["higher", "lower"]) }),
        unit: v.string(),
        settings,
        unused: v.optional(v.record(v.string(), v.string())),
      }),
    ),
    cells: v.array(
      v.object({
        id: v.string(),
        column: v.string(),
        selector: v.string(),
        learningRates: v.array(finite),
        seeds: v.array(finite),
      }),
    ),
    runs: v.array(run),
  }),
  v.check(
    ({ columns, cells }) => cells.every(({ column }) => columns.some(({ id }) => id === column)),
    "every cell must have its column",
  ),
  v.check(
    ({ cells, runs }) => runs.every(({ cell }) => cells.some(({ id }) => id === cell)),
    "every run must have its cell",
  ),
);

/**
 * Reads the plan of a comparison.
 *
 * @throws MissingError `comparison-missing` where there is none, `comparison-unreadable` where it is not what we write
 */
export async function readPlan(folder: string): Promise<ComparisonPlan> {
  const path = join(folder, "comparison.json");
  const text = await readText(path);
  if (text === undefined) {
    throw new MissingError(
      "comparison-missing",
      `Cannot read a comparison in ${folder} as it must hold comparison.json: there is none. Pass the folder of a comparison`,
    );
  }
  const parsed = v.safeParse(planSchema, parseJson(text));
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new MissingError(
    "comparison-unreadable",
    `Cannot read ${path} as it must be a plan of this version: ${v.getDotPath(issue) ?? "it"}: ${issue.message}. ` +
      "Start the comparison again in another folder",
  );
}

/**
 * How the runs of a comparison stand on disk: finished ones with their measurements, failed ones with their reason, and
 * no entry for those that are left.
 */
export async function readRunEnds(folder: string, plan: ComparisonPlan): Promise<Map<string, RunEnd>> {
  const ends = new Map<string, RunEnd>();
  for (const planned of plan.runs) {
    const end = await readRunEnd(runFolder(folder, planned));
    if (end !== undefined) ends.set(planned.id, end);
  }
  return ends;
}

/**
 * Reads a comparison as it stands, finished or not, without running anything.
 *
 * @throws MissingError as {@link readPlan}
 */
export async function readComparison(folder: string): Promise<ComparisonResults> {
  const plan = await readPlan(folder);
  return comparisonResults(plan, await readRunEnds(folder, plan));
}

/**
 * The newest comparison below a folder.
 *
 * @throws MissingError `comparison-missing` when there is none
 */
export async function latestComparison(out: string): Promise<string> {
  const names = await readdir(out).catch(() => []);
  let latest: { readonly folder: string; readonly timeMs: number } | undefined;
  for (const name of names) {
    const folder = resolve(out, name);
    const timeMs = await stat(join(folder, "comparison.json")).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    );
    if (timeMs !== undefined && (latest === undefined || timeMs > latest.timeMs)) latest = { folder, timeMs };
  }
  if (latest !== undefined) return latest.folder;
  throw new MissingError(
    "comparison-missing",
    `Cannot resume the latest comparison as one must lie in ${resolve(out)}: there is none. Start one, or pass its folder`,
  );
}

/** Opens a run folder whose marks say that it is done while its result is unreadable. */
export async function reopenRun(folder: string): Promise<void> {
  await rm(join(folder, "DONE"), { force: true });
}

/** Marks a run as failed whose process could not do so itself. */
export async function markFailed(folder: string, failure: RunFailure): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeJson(join(folder, "FAILED"), { code: failure.code, message: failure.message });
  await rm(join(folder, "RUNNING.lock"), { force: true });
}

/** Writes JSON as all our files have it: non-finite numbers as strings, whole or not at all. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(encodeNumbers(value), undefined, 2)}\n`);
}

const metrics = v.record(v.string(), v.number());
const summarySchema = v.object({
  steps: v.number(),
  validation: metrics,
  test: metrics,
  stepMs: v.number(),
  trainMs: v.number(),
  peakMemoryBytes: v.optional(v.number()),
  notes: v.optional(v.array(v.string())),
}) as unknown as v.GenericSchema<unknown, RunSummary>;

async function readRunEnd(folder: string): Promise<RunEnd | undefined> {
  const failed = await readText(join(folder, "FAILED"));
  if (failed !== undefined) {
    const parsed = v.safeParse(v.object({ code: v.string(), message: v.string() }), parseJson(failed));
    const failure = parsed.success ? parsed.output : { code: "unknown", message: failed.trim() };
    return { status: isDivergence(failure.code) ? "diverged" : "failed", failure };
  }
  if ((await readText(join(folder, "DONE"))) === undefined) return undefined;
  const summary = v.safeParse(summarySchema, parseJson((await readText(join(folder, "summary.json"))) ?? ""));
  // A damaged summary is no result: the run is left, and measured again from its last checkpoint.
  if (!summary.success) return undefined;
  const { steps, validation, test, stepMs, trainMs, peakMemoryBytes, notes = [] } = summary.output;
  const curve = readCurve((await readText(join(folder, "metrics.jsonl"))) ?? "");
  return {
    status: "finished",
    measurements: {
      steps,
      validation,
      test,
      stepMs,
      trainMs,
      ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes }),
      notes,
      curve,
    },
  };
}

function readCurve(text: string): readonly CurvePoint[] {
  const lines = text.split("\n").filter((line) => line !== "");
  const points = lines.flatMap((line) => {
    const record = parseJson(line) as { readonly step?: unknown; readonly loss?: unknown } | undefined;
    return typeof record?.step === "number" && typeof record.loss === "number"
      ? [{ step: record.step + 1, loss: record.loss }]
      : [];
  });
  return thinCurve(points);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new MissingError(
      "file-read",
      `Cannot read ${path} as it must be a readable file: ${message}. Check its rights`,
      { cause },
    );
  }
}

/** Nothing where the text is no JSON: what is missing is then said by whoever checks it. */
function parseJson(text: string): unknown {
  try {
    return decodeNumbers(JSON.parse(text));
  } catch {
    return undefined;
  }
}
