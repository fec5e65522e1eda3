/**
 * @file Runs the plan on a pool of processes: one fresh process for each run, as many at a time as there are cores. A run
 * that fails is marked and the others go on; a stop lets the running ones write a checkpoint.
 */
import { performance } from "node:perf_hooks";
import { type RunProgress } from "../train/loop.ts";
import { type RunSummary } from "../train/run-storage.ts";
import { type RunHandle, type StartRun } from "./child.node.ts";
import { type PlannedRun } from "./plan.ts";
import { type RunFailure } from "./results.ts";

/** What happens while runs run. */
export type ScheduleEvent =
  | { readonly kind: "run-started"; readonly run: PlannedRun }
  | { readonly kind: "run-progress"; readonly run: PlannedRun; readonly progress: RunProgress }
  | {
      readonly kind: "run-finished";
      readonly run: PlannedRun;
      readonly summary: RunSummary;
      readonly wallMs: number;
    }
  | ({ readonly kind: "run-failed"; readonly run: PlannedRun; readonly diverged: boolean } & RunFailure)
  /** It wrote a checkpoint, or was killed, and is left for a resume. */
  | { readonly kind: "run-stopped"; readonly run: PlannedRun }
  /** After every run that ended; the time left is known once a run has finished. */
  | {
      readonly kind: "progress";
      readonly ended: number;
      readonly planned: number;
      readonly timeLeftMs?: number;
    };

/** How to run. */
export interface ScheduleOptions {
  readonly startRun: StartRun;
  /** The absolute path of a run's folder. */
  readonly folderOf: (run: PlannedRun) => string;
  /** Processes at a time. */
  readonly jobs: number;
  /** The running ones write a checkpoint and end; no other starts. */
  readonly stop?: AbortSignal;
  /** The running ones end now. */
  readonly kill?: AbortSignal;
  /** Then it stops as if it was asked to. */
  readonly maxTimeMs?: number;
  readonly onEvent: (event: ScheduleEvent) => void;
}

/** Why nothing runs any more. */
export type ScheduleEnd =
  | { readonly reason: "all-ended" | "stopped" | "out-of-time" }
  /** A run could not be saved: the others would not be either. */
  | { readonly reason: "cannot-save"; readonly failure: RunFailure };

/** What a run fails with when its numbers fail, which is an answer about its learning rate. */
const divergenceCodes: ReadonlySet<string> = new Set(["diverged", "not-finite"]);

/** What a run fails with when its folder cannot be written. */
const savingCodes: ReadonlySet<string> = new Set(["file-write", "ENOSPC", "EDQUOT", "EROFS"]);

/** Whether a failure is an answer, not an accident. */
export function isDivergence(code: string): boolean {
  return divergenceCodes.has(code);
}

/**
 * Runs all runs; it resolves when none is running any more.
 *
 * @param runs - started in this order
 */
export async function runAll(runs: readonly PlannedRun[], options: ScheduleOptions): Promise<ScheduleEnd> {
  const { startRun, folderOf, jobs, onEvent, maxTimeMs } = options;
  const waiting = [...runs];
  const running = new Map<RunHandle, PlannedRun>();
  const clock = runClock(runs, jobs);
  let end: ScheduleEnd = { reason: "all-ended" };
  let isStopping = false;
  let ended = 0;

  const stop = (why: ScheduleEnd): void => {
    if (isStopping) return;
    isStopping = true;
    end = why;
    waiting.length = 0;
    for (const handle of running.keys()) handle.stop();
  };
  const stopByUser = (): void => stop({ reason: "stopped" });
  const kill = (): void => {
    stopByUser();
    for (const handle of running.keys()) handle.kill();
  };

  const runOne = async (run: PlannedRun): Promise<void> => {
    onEvent({ kind: "run-started", run });
    const startMs = performance.now();
    const handle = startRun(run, folderOf(run), (progress) => {
      clock.follow(run, progress.timeLeftMs);
      onEvent({ kind: "run-progress", run, progress });
    });
    running.set(handle, run);
    const result = await handle.ended;
    running.delete(handle);
    const wallMs = performance.now() - startMs;
    if (result.kind === "done") {
      clock.finish(run, wallMs);
      onEvent({ kind: "run-finished", run, summary: result.summary, wallMs });
    } else if (result.kind === "failed" && savingCodes.has(result.code)) {
      stop({ reason: "cannot-save", failure: result });
      onEvent({ kind: "run-stopped", run });
      return;
    } else if (result.kind === "stopped" || options.kill?.aborted === true) {
      onEvent({ kind: "run-stopped", run });
      return;
    } else {
      const { code, message } = result;
      clock.finish(run);
      onEvent({ kind: "run-failed", run, code, message, diverged: isDivergence(code) });
    }
    ended++;
    onEvent({ kind: "progress", ended, planned: runs.length, ...clock.timeLeft() });
  };

  const worker = async (): Promise<void> => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) await runOne(run);
  };

  options.stop?.addEventListener("abort", stopByUser);
  options.kill?.addEventListener("abort", kill);
  const deadline =
    maxTimeMs === undefined ? undefined : setTimeout(() => stop({ reason: "out-of-time" }), maxTimeMs);
  try {
    if (options.stop?.aborted === true || options.kill?.aborted === true) stopByUser();
    await Promise.all(Array.from({ length: jobs }, worker));
  } finally {
    clearTimeout(deadline);
    options.stop?.removeEventListener("abort", stopByUser);
    options.kill?.removeEventListener("abort", kill);
  }
  return end;
}

interface RunClock {
  /** A running run has so much left. */
  follow(run: PlannedRun, timeLeftMs: number): void;
  /** A run ended; its time says how long its column's other runs take. */
  finish(run: PlannedRun, wallMs?: number): void;
  timeLeft(): { readonly timeLeftMs?: number };
}

/** Estimates the time left: runs of a column take about as long as each other. */
function runClock(runs: readonly PlannedRun[], jobs: number): RunClock {
  const finishedMs = new Map<string, number[]>();
  const running = new Map<string, number>();
  const waiting = new Map(runs.map((run) => [run.id, run]));
  const mean = (numbers: readonly number[]): number =>
    numbers.reduce((sum, ms) => sum + ms, 0) / numbers.length;
  return {
    follow(run, timeLeftMs) {
      waiting.delete(run.id);
      running.set(run.id, timeLeftMs);
    },
    finish(run, wallMs) {
      waiting.delete(run.id);
      running.delete(run.id);
      if (wallMs !== undefined) finishedMs.set(run.column, [...(finishedMs.get(run.column) ?? []), wallMs]);
    },
    timeLeft() {
      if (finishedMs.size === 0) return {};
      const anyColumn = mean([...finishedMs.values()].flat());
      const estimate = ({ column }: PlannedRun): number => mean(finishedMs.get(column) ?? [anyColumn]);
      const left = [...running.values(), ...[...waiting.values()].map(estimate)];
      return { timeLeftMs: left.reduce((sum, ms) => sum + ms, 0) / jobs };
    },
  };
}
