/** @file One run of `train`, from its wishes to its summary: a live line, a run folder, an exact resume. */
import { MissingError } from "../../base/index.ts";
import { formatDuration } from "../../compare/format.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { nodeDataSource } from "../../train/data-source.node.ts";
import { describeEnvironment } from "../../train/environment.node.ts";
import { type RunOutcome, train as trainLoop } from "../../train/loop.ts";
import { openRunFolder } from "../../train/run-folder.node.ts";
import { trainingEngine } from "../../train/training-engine.node.ts";
import { type Recipe } from "../../train/trainable.ts";
import { texts } from "../dictionary/runs.ts";
import { exitCodes } from "../exit-codes.ts";
import { measurementTable } from "../inspect/run-folder.ts";
import { listenForInterruption } from "../interruption.ts";
import { formatOf, type FormatOptions, printJson, printSections } from "../printing.ts";
import { openProgress } from "../progress/progress.ts";
import { readWishes, requireResumeAlone, type RunFlags } from "../run-options.ts";
import { type RunWishes } from "../run-wishes.ts";
import { type Session, shownPath } from "../session.ts";
import { newRun, type PlacedRun, runToResume } from "./placed-run.ts";

/** Trains what the flags ask for, prints its summary, and sets the exit code. */
export async function train(flags: RunFlags & FormatOptions, session: Session): Promise<void> {
  const { resume } = flags;
  if (resume !== undefined) requireResumeAlone(flags);
  const wishes = await readWishes(flags, "run");
  // jax-js decides for its threads when it is loaded, and recipes load it.
  await startJax({ threads: wishes.threads ?? 1 });
  const { recipeOf } = await import("../../train/recipes/index.ts");
  const placed =
    resume === undefined ? await newRun(wishes, recipeOf) : await runToResume(resume, wishes.out);
  const recipe = recipeOf(placed.run.task);
  const outcome = await runIn(placed, recipe, { ...wishes, resume: resume !== undefined }, session);
  await printOutcome(outcome, placed, flags, session);
}

async function runIn(
  { run, folder }: PlacedRun,
  recipe: Recipe,
  { maxTimeMs, resume, threads }: RunWishes & { readonly resume: boolean },
  session: Session,
): Promise<RunOutcome> {
  const { say } = session;
  const label = `${run.task} · ${run.selector} · lr ${run.learningRate} · seed ${run.seed}`;
  // The data are read before there is a folder: a missing package leaves nothing behind.
  const { task: _, ...request } = run;
  const engine = trainingEngine(run.device, threads);
  const trainable = await recipe.create({ ...request, data: nodeDataSource(), engine });
  const storage = await openRunFolder(folder, { run, resume, environment: { ...describeEnvironment() } });
  session.tell((resume ? texts.resuming : texts.training)(label, shownPath(folder)));
  const progress = openProgress(session);
  const interruption = listenForInterruption(() => progress.log(say(texts.stopping)));
  try {
    return await trainLoop(trainable, {
      run,
      folder: storage,
      resume,
      signal: interruption.stop,
      peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
      onProgress: (standing) => progress.update(folder, { label, unit: recipe.unit, ...standing }),
      ...(maxTimeMs === undefined ? {} : { maxTimeMs }),
    });
  } catch (error) {
    progress.close();
    if (error instanceof MissingError) session.tell(texts.resumable(shownPath(folder)));
    throw error;
  } finally {
    interruption.close();
    progress.close();
    trainable.dispose();
  }
}

async function printOutcome(
  outcome: RunOutcome,
  { run, folder }: PlacedRun,
  options: FormatOptions,
  session: Session,
): Promise<void> {
  const shownFolder = shownPath(folder);
  const format = formatOf(options);
  if (format === "json")
    await printJson(session, {
      folder,
      outcome: outcome.kind,
      ...("summary" in outcome ? outcome.summary : { ...run, ...outcome }),
    });
  if (outcome.kind === "stopped") {
    session.tell(texts.stoppedAt(outcome.step, shownFolder));
    session.next("train", "--resume", shownFolder);
    session.exitCode = outcome.reason === "signal" ? exitCodes.interrupted : exitCodes.done;
    return;
  }
  const { summary } = outcome;
  if (format !== "json")
    await printSections(session, [{ table: measurementTable(summary, session.language) }], format);
  for (const note of summary.notes ?? []) session.tell(texts.notes(note));
  session.tell(texts.trained(formatDuration(summary.trainMs), shownFolder));
  session.next("inspect", shownFolder);
}
