/**
 * @file One run, asked for by messages: the process that `compare` forks for every run, so that the peak memory it tells is
 * the run's own and its crash nobody else's.
 *
 * In: `{ kind: "start", task, selector, seed, learningRate, settings, folder, resume? }`, `{ kind: "stop" }`.
 * Out: `{ kind: "progress", … }`, then one of `{ kind: "done", summary }`, `{ kind: "stopped", step }`,
 * `{ kind: "failed", code, message }`.
 */
import { nodeDataSource } from "./data-source.node.ts";
import { describeEnvironment } from "./environment.node.ts";
import { type RunProgress, train } from "./loop.ts";
import { recipeOf } from "./recipes/index.ts";
import { openRunFolder } from "./run-folder.node.ts";
import { type RunIdentity, type RunSummary } from "./run-storage.ts";
import { trainingEngine } from "./training-engine.node.ts";

/** What a run is asked for. */
export interface StartMessage extends RunIdentity {
  readonly kind: "start";
  /** The run folder itself. */
  readonly folder: string;
  /** Goes on with what lies in the folder (default true); without it the folder must hold no run. */
  readonly resume?: boolean;
  readonly checkpointEvery?: number;
  readonly maxTimeMs?: number;
}

/** What a run's process is told. */
export type RunCommand = StartMessage | { readonly kind: "stop" };

/** What a run's process says. */
export type RunMessage =
  | ({ readonly kind: "progress" } & RunProgress)
  | { readonly kind: "done"; readonly summary: RunSummary }
  | { readonly kind: "stopped"; readonly step: number }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** The last message of a run. */
export type RunEnding = Exclude<RunMessage, { readonly kind: "progress" }>;

/** Progress is told at most so often. */
const progressIntervalMs = 100;

/**
 * Runs what was asked for and says how it ended; errors are endings too.
 *
 * @param say - hears the progress
 * @param signal - stops the run after a checkpoint
 */
export async function serveRun(
  request: StartMessage,
  say: (message: RunMessage) => void,
  signal: AbortSignal,
): Promise<RunEnding> {
  try {
    return await trainRun(request, say, signal);
  } catch (error) {
    const { code = "unexpected", message } = error as { code?: string; message: string };
    return { kind: "failed", code, message };
  }
}

async function trainRun(
  request: StartMessage,
  say: (message: RunMessage) => void,
  signal: AbortSignal,
): Promise<RunEnding> {
  const { task, selector, seed, learningRate, settings: overrides, device } = request;
  const { folder: path, resume = true } = request;
  const recipe = recipeOf(task);
  const settings = recipe.settings(overrides) as Readonly<Record<string, unknown>>;
  const run: RunIdentity = {
    task,
    selector,
    seed,
    learningRate,
    settings,
    ...(device === undefined ? {} : { device }),
  };
  const environment = { ...describeEnvironment() };
  const folder = await openRunFolder(path, { run, resume, environment });
  let trainable;
  try {
    const engine = trainingEngine(device);
    trainable = await recipe.create({
      selector,
      seed,
      learningRate,
      settings,
      data: nodeDataSource(),
      engine,
    });
  } catch (error) {
    await folder.fail(error);
    throw error;
  }
  let saidMs = -Infinity;
  try {
    const outcome = await train(trainable, {
      run,
      folder,
      resume,
      signal,
      peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
      onProgress: (progress) => {
        const isDue = performance.now() - saidMs >= progressIntervalMs || progress.step === progress.steps;
        if (!isDue) return;
        saidMs = performance.now();
        say({ kind: "progress", ...progress });
      },
      ...(request.checkpointEvery === undefined ? {} : { checkpointEvery: request.checkpointEvery }),
      ...(request.maxTimeMs === undefined ? {} : { maxTimeMs: request.maxTimeMs }),
    });
    return outcome.kind === "done"
      ? { kind: "done", summary: outcome.summary }
      : { kind: "stopped", step: outcome.step };
  } finally {
    trainable.dispose();
  }
}
