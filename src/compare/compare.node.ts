/**
 * @file The main job: plan a comparison or read the plan of a stopped one, run what is left of it, and write its report.
 */
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { DomainError, MissingError } from "../base/errors.ts";
import { writeFileAtomically } from "../checkpoints/write-atomically.node.ts";
import { describeEnvironment } from "../train/environment.node.ts";
import { takeLock } from "../train/run-lock.node.ts";
import { type ChildEnd, forkRuns, type StartRun } from "./child.node.ts";
import {
  makeComparisonFolder,
  markFailed,
  readPlan,
  readRunEnds,
  reopenRun,
  runFolder,
  writeJson,
} from "./folder.node.ts";
import {
  type ComparisonPlan,
  type ComparisonRequest,
  planComparison,
  type PlannedRun,
  type RecipeFacts,
} from "./plan.ts";
import { renderReport } from "./report.ts";
import { comparisonReport } from "./report-json.ts";
import { type ComparisonResults, comparisonResults, type RunEnd } from "./results.ts";
import { runAll, type ScheduleEnd, type ScheduleEvent } from "./schedule.node.ts";

export { latestComparison, readComparison } from "./folder.node.ts";

/** What happens while a comparison runs. */
export type CompareEvent =
  | {
      readonly kind: "planned";
      readonly plan: ComparisonPlan;
      readonly folder: string;
      /** Runs that are not repeated. */
      readonly reused: number;
      readonly jobs: number;
    }
  | ScheduleEvent
  | { readonly kind: "reporting" };

/** How to run a comparison. */
export interface CompareOptions {
  /** Runs at a time; as many as there are cores when absent. */
  readonly jobs?: number;
  /** Then the running ones write a checkpoint, and the report tells what there is. */
  readonly maxTimeMs?: number;
  /** A first Ctrl-C: the running ones write a checkpoint and end. */
  readonly stop?: AbortSignal;
  /** A second one: they end now. */
  readonly kill?: AbortSignal;
  readonly onEvent?: (event: CompareEvent) => void;
  /** Starts runs; forks a process for each when absent. */
  readonly startRun?: StartRun;
}

/** Where a new comparison goes. */
export interface NewComparison extends CompareOptions {
  readonly recipes: (task: string) => RecipeFacts;
  /** Folder of the comparisons; `runs` when absent. */
  readonly out?: string;
  /** Part of the folder's name; the preset's name when absent. */
  readonly name?: string;
}

/** A comparison after it ran. */
export interface Comparison {
  /** Absolute paths. */
  readonly folder: string;
  readonly reportHtml: string;
  readonly reportJson: string;
  readonly results: ComparisonResults;
  readonly outcome: "done" | "partly-failed" | "interrupted" | "out-of-time";
  readonly counts: Readonly<Record<RunEnd["status"], number>>;
}

/**
 * Plans, runs and reports a comparison in a folder of its own.
 *
 * @param request - what is compared
 * @param options - how, and where to
 * @throws what {@link planComparison} throws; MissingError `file-write` when the disk refuses, after which
 *   {@link resumeComparison} goes on
 */
export async function compare(request: ComparisonRequest, options: NewComparison): Promise<Comparison> {
  requireJobs(options.jobs);
  const plan = planComparison(request, options.recipes);
  const startRun = options.startRun ?? forkRuns();
  const folder = await makeComparisonFolder(
    options.out ?? "runs",
    options.name ?? plan.preset,
    plan,
    new Date(),
  );
  return runPlan(folder, plan, { ...options, startRun });
}

/**
 * Goes on with a comparison: finished and diverged runs are read, failed ones tried again, unfinished ones continued from
 * their checkpoints.
 *
 * @param folder - of the comparison
 * @throws MissingError `comparison-missing`, `comparison-unreadable`, `run-locked` while another process runs it, or
 *   `file-write`
 */
export async function resumeComparison(folder: string, options: CompareOptions = {}): Promise<Comparison> {
  requireJobs(options.jobs);
  return runPlan(resolve(folder), await readPlan(folder), options);
}

async function runPlan(folder: string, plan: ComparisonPlan, options: CompareOptions): Promise<Comparison> {
  const { onEvent = () => undefined } = options;
  const unlock = await takeLock(join(folder, "RUNNING.lock"));
  try {
    const before = await readRunEnds(folder, plan);
    const left = plan.runs.filter(({ id }) => !isAnswer(before.get(id)));
    const jobs = Math.min(options.jobs ?? availableParallelism(), Math.max(1, left.length));
    onEvent({ kind: "planned", plan, folder, reused: plan.runs.length - left.length, jobs });
    const failures = new Map<string, RunEnd>();
    const end = left.length === 0 ? undefined : await runLeft(folder, left, jobs, failures, options);
    onEvent({ kind: "reporting" });
    const ends = new Map([...failures, ...(await readRunEnds(folder, plan))]);
    return await writeReport(folder, comparisonResults(plan, ends), end);
  } finally {
    await unlock();
  }
}

/** Whether a run needs no other try: it has its numbers, or its numbers failed. */
function isAnswer(end: RunEnd | undefined): boolean {
  return end?.status === "finished" || end?.status === "diverged";
}

/** Runs what is left; failures are kept, as not every run that fails has a folder to say so in. */
async function runLeft(
  folder: string,
  left: readonly PlannedRun[],
  jobs: number,
  failures: Map<string, RunEnd>,
  { startRun = forkRuns(), ...options }: CompareOptions,
): Promise<ScheduleEnd> {
  for (const run of left) await reopenRun(runFolder(folder, run));
  const { stop, kill, maxTimeMs, onEvent = () => undefined } = options;
  return runAll(left, {
    startRun: markingCrashes(startRun, kill),
    folderOf: (run) => runFolder(folder, run),
    jobs,
    onEvent: (event) => {
      if (event.kind === "run-failed") {
        const { run, code, message, diverged } = event;
        failures.set(run.id, { status: diverged ? "diverged" : "failed", failure: { code, message } });
      }
      onEvent(event);
    },
    ...(stop === undefined ? {} : { stop }),
    ...(kill === undefined ? {} : { kill }),
    ...(maxTimeMs === undefined ? {} : { maxTimeMs }),
  });
}

/** What a run fails with when its process could not say why itself. */
const crashCodes: ReadonlySet<string> = new Set(["run-crashed", "run-process"]);

/** A process that crashed could not mark its run as failed, so it is done for it. */
function markingCrashes(startRun: StartRun, kill: AbortSignal | undefined): StartRun {
  return (run, folder, onProgress) => {
    const handle = startRun(run, folder, onProgress);
    const ended = handle.ended.then(async (end): Promise<ChildEnd> => {
      if (end.kind !== "failed" || !crashCodes.has(end.code) || kill?.aborted === true) return end;
      try {
        await markFailed(folder, end);
        return end;
      } catch (error) {
        if (error instanceof MissingError)
          return { kind: "failed", code: error.code, message: error.message };
        throw error;
      }
    });
    return { ...handle, ended };
  };
}

async function writeReport(
  folder: string,
  results: ComparisonResults,
  end: ScheduleEnd | undefined,
): Promise<Comparison> {
  const counts = { finished: 0, diverged: 0, failed: 0, left: 0 };
  for (const { status } of results.runs) counts[status]++;
  if (end?.reason === "cannot-save") {
    throw new MissingError(
      "file-write",
      `Cannot go on with the comparison as its runs must be saved: ${counts.finished} of ${results.runs.length} are, then ` +
        `"${end.failure.message}". Make room, then go on with --resume ${folder}`,
    );
  }
  const report = comparisonReport(results, describeEnvironment(), new Date());
  const reportJson = join(folder, "report.json");
  const reportHtml = join(folder, "report.html");
  await writeJson(reportJson, report);
  await writeFileAtomically(reportHtml, renderReport(results, report));
  return { folder, reportHtml, reportJson, results, outcome: outcomeOf(results, counts, end), counts };
}

function outcomeOf(
  { cells }: ComparisonResults,
  counts: Comparison["counts"],
  end: ScheduleEnd | undefined,
): Comparison["outcome"] {
  if (counts.left > 0) return end?.reason === "out-of-time" ? "out-of-time" : "interrupted";
  return counts.failed > 0 || cells.some(({ status }) => status === "failed") ? "partly-failed" : "done";
}

function requireJobs(jobs: number | undefined): void {
  if (jobs === undefined || (Number.isSafeInteger(jobs) && jobs >= 1)) return;
  throw new DomainError(
    "bad-jobs",
    `Cannot compare as the runs at a time must be a whole number ≥ 1: ${jobs}. Leave it out for one a core`,
  );
}
