/** @file One run of `distil`, from its flags to an adapter: a live line, a run folder, an exact resume. */
import { MissingError } from "../../base/index.ts";
import { type Distillation } from "../../distil/index.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { type LanguageModel } from "../../language/open-model.node.ts";
import { describeEnvironment } from "../../train/environment.node.ts";
import { type RunOutcome } from "../../train/loop.ts";
import { openRunFolder } from "../../train/run-folder.node.ts";
import { type Metrics } from "../../train/trainable.ts";
import { texts } from "../dictionary/distil.ts";
import { texts as runTexts } from "../dictionary/runs.ts";
import { exitCodes } from "../exit-codes.ts";
import { columns } from "../inspect/tables.ts";
import { listenForInterruption } from "../interruption.ts";
import { formatOf, type FormatOptions, printJson, printSections } from "../printing.ts";
import { openProgress } from "../progress/progress.ts";
import { printNumber } from "../quantities.ts";
import { placeRanges } from "../ranges.ts";
import { type Session, shownPath } from "../session.ts";
import { type DistilFlags, hashOf, placedDistillation, type PlacedDistillation } from "./distil-run.ts";
import { distilTokens } from "./distil-text.ts";

/** Distils what the flags ask for, writes the adapter, prints what was measured, and sets the exit code. */
export async function distil(flags: DistilFlags & FormatOptions, session: Session): Promise<void> {
  const placed = await placedDistillation(flags);
  // Threads are the engine's: what is left to jax-js is small.
  await startJax({ threads: 1 });
  const { openLanguageModel } = await import("../../language/open-model.node.ts");
  const model = await openLanguageModel(placed.run.settings.model);
  try {
    await distilModel(model, placed, flags, session);
  } finally {
    await model.close();
  }
}

async function distilModel(
  model: LanguageModel,
  placed: PlacedDistillation,
  flags: DistilFlags & FormatOptions,
  session: Session,
): Promise<void> {
  const { run, folder } = placed;
  const { settings, selector, seed, learningRate } = run;
  const { decoder } = await import("../../models/index.ts");
  const { attentionsOf } = await import("../../swap/index.ts");
  const { distillation } = await import("../../distil/index.ts");
  const { train } = await import("../../train/loop.ts");
  const { nodeEngine } = await import("../../kernels/wasm/engine/pool.node.ts");
  const { writeAdapter } = await import("../../language/adapter.node.ts");
  const { threads } = flags;
  const engine = nodeEngine(threads === undefined ? {} : { threads });
  const { layout, source } = model;
  const every = Array.from({ length: layout.config.layers }, (_, layer) => layer);
  const layers = placeRanges("--layers")(settings.layers) ?? every;
  const own = decoder(layout.config);
  const heads = placeRanges("--heads")(settings.heads);
  const attention = attentionsOf(
    { model: own },
    { selector, layers, ...(heads === undefined ? {} : { heads }) },
    settings.calibrate,
  );
  own.dispose();
  decoder({ ...layout.config, attention }).dispose();
  const tokens = await distilTokens(placed, model, engine, session);
  const { steps, tuneSteps, loss, rank, alpha, batch, length, tuneRate } = settings;
  const trainable = await distillation({
    source,
    layout,
    attention,
    layers,
    loss,
    lowRank: { rank, alpha },
    tokens,
    begin: model.tokenizer.specialTokens.begin,
    batch,
    length,
    steps,
    tuneSteps,
    learningRate,
    tuneRate,
    seed,
    engine,
  });
  const isResumed = flags.resume !== undefined;
  const identity = { ...run, settings: { ...settings, text: hashOf(tokens) } };
  const label = `distil · ${selector} · ${settings.model} ${settings.layers}`;
  const interruption = listenForInterruption(() => progress.log(session.say(runTexts.stopping)));
  const progress = openProgress(session);
  try {
    const storage = await openRunFolder(folder, {
      run: identity,
      resume: isResumed,
      environment: { ...describeEnvironment() },
    });
    session.tell((isResumed ? runTexts.resuming : runTexts.training)(label, shownPath(folder)));
    const outcome = await train(trainable, {
      run: identity,
      folder: storage,
      resume: isResumed,
      signal: interruption.stop,
      peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
      onProgress: (standing) => progress.update(folder, { label, unit: "tokens", ...standing }),
      ...(flags.maxTime === undefined ? {} : { maxTimeMs: flags.maxTime }),
    });
    progress.close();
    const last = isResumed && outcome.kind === "done" ? await storage.readCheckpoint() : undefined;
    // A run that was done before is not run again: what it learned is read.
    if (last !== undefined) await trainable.restore(last.snapshot);
    const isInterrupted = outcome.kind === "stopped" && outcome.reason === "signal";
    const measured = isInterrupted ? undefined : await measure(outcome, trainable);
    if (measured !== undefined) {
      const done = outcome.kind === "done" ? outcome.summary.steps : outcome.step;
      const record = { steps: done, tokens: done * batch * length, ...measured };
      await writeAdapter(folder, model, await trainable.adapter(record));
    }
    await report(outcome, measured, placed, flags, session);
  } catch (error) {
    progress.close();
    if (error instanceof MissingError) session.tell(texts.resumable(shownPath(folder)));
    throw error;
  } finally {
    interruption.close();
    trainable.dispose();
  }
}

/** A run that time has stopped is measured as it stands. */
function measure(outcome: RunOutcome, trainable: Distillation): Promise<Metrics> | Metrics {
  return outcome.kind === "done" ? outcome.summary.test : trainable.test();
}

async function report(
  outcome: RunOutcome,
  measured: Metrics | undefined,
  { run, folder }: PlacedDistillation,
  flags: FormatOptions,
  session: Session,
): Promise<void> {
  const shown = shownPath(folder);
  const format = formatOf(flags);
  if (format === "json") {
    const { kind, ...rest } = outcome;
    const facts = "summary" in rest ? rest.summary : { ...run, ...rest };
    await printJson(session, {
      folder,
      outcome: kind,
      ...facts,
      ...(measured === undefined ? {} : { test: measured }),
    });
  } else if (measured !== undefined) {
    const rows = Object.entries(measured).map(([name, value]) => ({ name, value: printNumber(value) }));
    await printSections(session, [{ table: { columns: columns("name", "value"), rows } }], format);
  }
  if (measured !== undefined) {
    const { recovered, recoveredPerplexity } = measured;
    const perplexities = ["base", "swapped", "imitated", "distilled"].map((name) =>
      printNumber(measured[`${name}Perplexity`] ?? NaN),
    );
    const share = (part: number | undefined): string =>
      part === undefined ? "—" : `${(part * 100).toFixed(1)} %`;
    session.tell(
      texts.measured(perplexities, { perplexity: share(recoveredPerplexity), nats: share(recovered) }),
    );
  }
  if (outcome.kind === "done") {
    session.next("generate", "--model", run.settings.model, "--adapter", shown);
    return;
  }
  session.tell(runTexts.stoppedAt(outcome.step, shown));
  session.next("distil", "--resume", shown);
  session.exitCode = outcome.reason === "signal" ? exitCodes.interrupted : exitCodes.done;
}
