/**
 * @file The training loop: steps, checkpoints, measurements, and stopping in between. Everything random comes from (seed,
 * step), so a run that was stopped and resumed gives the numbers of one that never was.
 */
import { NumbersError } from "../base/errors.ts";
import { median, paceMeter } from "./metrics.ts";
import { type RunIdentity, type RunStorage, type RunSummary, type StepRecord } from "./run-storage.ts";
import { type StepReport, type Trainable } from "./trainable.ts";

/** What a progress line shows. */
export interface RunProgress {
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  /** Absent where steps only measure. */
  readonly loss?: number;
  readonly itemsPerSecond: number;
  readonly timeLeftMs: number;
}

/** How to run. */
export interface TrainOptions {
  /** What the summary says about the run. */
  readonly run: RunIdentity;
  /** Where it is kept; nowhere when absent. */
  readonly folder?: RunStorage;
  /** Goes on from the folder's last checkpoint; a run that is done is not run again. */
  readonly resume?: boolean;
  readonly onProgress?: (progress: RunProgress) => void;
  /** Stops after the step that is running, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** A checkpoint after every so many steps; when absent, one every half minute. */
  readonly checkpointEvery?: number;
  /** Stops, with a checkpoint, when this much time has passed. */
  readonly maxTimeMs?: number;
  /** Largest memory of the process so far, where it can be known. */
  readonly peakMemoryBytes?: () => number;
}

/** A run that may have something to say beside its numbers, such as why one of them does not exist. */
export type AnnotatedTrainable = Trainable & { readonly notes?: readonly string[] };

/** How a run ended. */
export type RunOutcome =
  | { readonly kind: "done"; readonly summary: RunSummary }
  | { readonly kind: "stopped"; readonly step: number; readonly reason: "signal" | "time" };

const checkpointIntervalMs = 30_000;

/**
 * Trains to the end, or until it is stopped.
 *
 * @param trainable - owned by the caller
 * @throws NumbersError `diverged` when the loss or the gradient stops being finite; the folder is then marked as failed, as
 *   it is after any other error
 */
export async function train(trainable: AnnotatedTrainable, options: TrainOptions): Promise<RunOutcome> {
  const { folder } = options;
  try {
    return await run(trainable, options);
  } catch (error) {
    await folder?.fail(error);
    throw error;
  }
}

async function run(trainable: AnnotatedTrainable, options: TrainOptions): Promise<RunOutcome> {
  const { folder, resume = false, signal, maxTimeMs = Infinity, onProgress } = options;
  const finished = resume ? await folder?.readSummary() : undefined;
  if (finished !== undefined) return { kind: "done", summary: finished };
  const startMs = performance.now();
  const checkpoint = resume ? await folder?.readCheckpoint() : undefined;
  if (checkpoint !== undefined) await trainable.restore(checkpoint.snapshot);
  const first = checkpoint?.step ?? 0;
  const timesMs = ((await folder?.rewindMetrics(first)) ?? []).map(({ timeMs }) => timeMs);
  const pace = paceMeter(trainable.steps);
  let savedStep = first;
  let savedMs = performance.now();

  const save = async (step: number): Promise<void> => {
    if (folder === undefined || step === savedStep) return;
    await folder.writeCheckpoint({ step, snapshot: await trainable.snapshot() });
    savedStep = step;
    savedMs = performance.now();
  };
  const isDue = (done: number): boolean =>
    options.checkpointEvery === undefined
      ? performance.now() - savedMs > checkpointIntervalMs
      : done % options.checkpointEvery === 0;

  for (let step = first; step < trainable.steps; step++) {
    const reason =
      signal?.aborted === true ? "signal" : performance.now() - startMs > maxTimeMs ? "time" : undefined;
    if (reason !== undefined) {
      await save(step);
      await folder?.release();
      return { kind: "stopped", step, reason };
    }
    const stepStartMs = performance.now();
    const report = await trainable.step(step);
    const timeMs = performance.now() - stepStartMs;
    timesMs.push(timeMs);
    await folder?.appendMetrics(recordOf(step, report, timeMs));
    requireConvergent(step, report, options.run.learningRate);
    const { items, loss } = report;
    const progress = { step: step + 1, steps: trainable.steps, ...pace(step, items, timeMs) };
    onProgress?.(loss === undefined ? progress : { ...progress, loss });
    if (isDue(step + 1)) await save(step + 1);
  }
  await save(trainable.steps);
  return { kind: "done", summary: await summarise(trainable, options, timesMs) };
}

async function summarise(
  trainable: AnnotatedTrainable,
  { run, folder, peakMemoryBytes }: TrainOptions,
  timesMs: readonly number[],
): Promise<RunSummary> {
  const validation = await trainable.validate();
  const test = await trainable.test();
  const summary: RunSummary = {
    ...run,
    steps: trainable.steps,
    validation,
    test,
    stepMs: median(timesMs),
    trainMs: timesMs.reduce((sum, timeMs) => sum + timeMs, 0),
    ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes: peakMemoryBytes() }),
    ...(trainable.notes === undefined ? {} : { notes: trainable.notes }),
  };
  await folder?.finish(summary);
  return summary;
}

function recordOf(step: number, { items, ...report }: StepReport, timeMs: number): StepRecord {
  return { step, ...report, items, timeMs };
}

function requireConvergent(step: number, report: StepReport, learningRate: number): void {
  const { loss = 0, gradientNorm = 0 } = report;
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
  throw new NumbersError(
    "diverged",
    `Cannot go on training as loss and gradient must stay finite: loss ${loss}, gradient norm ${gradientNorm} at step ${step}. ` +
      `Use a learning rate below ${learningRate}`,
  );
}
