/** @file One `swap`, from its flags to its table: cell by cell, each kept when it is measured, a report, an exact resume. */
import { formatDuration, formatNumber } from "../../compare/format.ts";
import type { LanguageModel } from "../../language/open-model.node.ts";
import type { SwapCell, SwapMeasurement, SwapQuestions, TrainedModel } from "../../swap/index.ts";
import type { SwapPlan, SwapResults } from "../../swap/plan.ts";
import type { SwapFolder } from "../../swap/swap-folder.node.ts";
import { texts } from "../dictionary/swap.ts";
import { codeOf, exitCodes } from "../exit-codes.ts";
import { openModel } from "../generate/load.ts";
import { listenForInterruption } from "../interruption.ts";
import { formatOf, printJson, printSections } from "../printing.ts";
import { openProgress } from "../progress/progress.ts";
import { type Session, shownPath } from "../session.ts";
import {
  cellsFor,
  givenText,
  openAdapters,
  type OpenAdapter,
  planOf,
  questionsFor,
  requirePlannedAdapters,
} from "./asked.ts";
import { type SwapFlags } from "./options.ts";
import { swapTable } from "./table.ts";

/** Measures what the flags ask for, prints the table, and sets the exit code. */
export async function swap(flags: SwapFlags, session: Session): Promise<void> {
  const { startJax } = await import("../../kernels/jax/start.ts");
  await startJax({ threads: 1 });
  const { makeSwapFolder, openSwapFolder } = await import("../../swap/swap-folder.node.ts");
  let folder = flags.resume === undefined ? undefined : await openSwapFolder(flags.resume);
  const interruption = listenForInterruption(() => session.tell(texts.stopping));
  const { stop } = interruption;
  let model: LanguageModel | undefined;
  try {
    const given = folder ?? (await givenText(flags));
    model = await openModel(
      { model: folder?.plan.model ?? flags.model ?? "", device: "wasm" },
      session,
      stop,
    );
    const folders = folder?.plan.adapters.map((adapter) => adapter.folder) ?? flags.adapter ?? [];
    const adapters = await openAdapters(folders, model);
    const plan = folder?.plan ?? (await planOf(flags, given, adapters));
    requirePlannedAdapters(plan, adapters);
    const cells = await cellsFor(plan, model, adapters);
    const questions = await questionsFor(plan, given.text, model);
    const base = await loadBase(model, flags);
    try {
      folder ??= await makeSwapFolder(flags.out, plan, given.text, new Date());
      session.tell(texts.planned(cells.length, shownPath(folder.path)));
      const until = { stop, maxTimeMs: flags.maxTime };
      const results = await measureAll({ base, folder, cells, questions, adapters }, until, session);
      const { html } = await folder.writeReport(results);
      await print(results, flags, session);
      session.tell(texts.report(shownPath(html)));
      finish(results, folder.path, stop.aborted, session);
    } finally {
      for (const array of Object.values(base.arrays)) array.dispose();
      base.model.dispose();
    }
  } catch (error) {
    // A fetch that was interrupted; from then on what is being measured is ended in order.
    if (model !== undefined || !stop.aborted) throw error;
    session.exitCode = exitCodes.interrupted;
  } finally {
    interruption.close();
    await folder?.release();
    await model?.close();
  }
}

async function loadBase(model: LanguageModel, { threads }: SwapFlags): Promise<TrainedModel> {
  const { nodeEngine } = await import("../../kernels/wasm/engine/pool.node.ts");
  const { arraysOf } = await import("../../kernels/jax/tensors.ts");
  const engine = nodeEngine(threads === undefined ? {} : { threads });
  const loaded = await model.load({ engine });
  const arrays = arraysOf(loaded.tensors);
  return { model: loaded.model, arrays, config: model.layout.config, engine };
}

/** Everything that is measured, and where it is kept. */
interface Measuring {
  readonly base: TrainedModel;
  readonly folder: SwapFolder;
  readonly cells: readonly SwapCell[];
  readonly questions: SwapQuestions;
  readonly adapters: readonly OpenAdapter[];
}

async function measureAll(
  { base, folder, cells, questions, adapters }: Measuring,
  { stop, maxTimeMs = Infinity }: { readonly stop: AbortSignal; readonly maxTimeMs: number | undefined },
  session: Session,
): Promise<SwapResults> {
  const { measureBase, measureSwap, swapStages } = await import("../../swap/index.ts");
  const { cellTitle, layersLabel, recoveries } = await import("../../swap/plan.ts");
  const { plan } = folder;
  const { say } = session;
  const startMs = performance.now();
  const progress = openProgress(session);
  const measured: SwapMeasurement[] = [];
  const failures: { cell: SwapCell; message: string }[] = [];
  let left = 0;
  const standing = (label: string, stage: keyof typeof swapStages): void =>
    progress.update("cell", {
      label: `${label} · ${say(swapStages[stage])}`,
      step: measured.length,
      steps: cells.length + 1,
      itemsPerSecond: 0,
      unit: "",
      timeLeftMs: Infinity,
    });
  try {
    const known = await folder.readBase();
    const before = await measureBase(base, questions, (stage) => standing(say(texts.base), stage), known);
    if (known === undefined) await folder.writeBase(before.measurement);
    const bits = (value: number): string => formatNumber(value, 3);
    let reused = 0;
    for (const cell of cells) {
      const label = `${say(cellTitle(cell))} · ${layersLabel(cell.layers)}`;
      const done = await folder.readCell(cell);
      if (done !== undefined) {
        measured.push(done);
        reused += 1;
        continue;
      }
      if (stop.aborted || performance.now() - startMs > maxTimeMs) {
        left += 1;
        continue;
      }
      try {
        const parts = "selector" in cell ? undefined : adapters.find(({ hash }) => hash === cell.hash)?.parts;
        const onStage = (stage: keyof typeof swapStages): void => standing(label, stage);
        const found = await measureSwap(base, before, cell, questions, onStage, parts);
        await folder.writeCell(found);
        measured.push(found);
        const now = bits(found.score.bitsPerCharacter);
        const was = bits(before.measurement.score.bitsPerCharacter);
        progress.log(say(texts.measured(label, was, now, formatDuration(found.wallMs))));
      } catch (error) {
        // What a cell cannot be is the cell's; anything else is a fault of the command.
        if (!(error instanceof Error) || codeOf(error) === undefined) throw error;
        const { message } = error;
        failures.push({ cell, message });
        progress.log(say(texts.failed(label, message)));
      }
    }
    if (reused > 0) progress.log(say(texts.reused(reused)));
    const recovered = recoveries(measured);
    return { plan, base: before.measurement, cells: measured, recovered, failures, left };
  } finally {
    progress.close();
  }
}

async function print(results: SwapResults, flags: SwapFlags, session: Session): Promise<void> {
  const { cellTitle, cutHeads, layersLabel } = await import("../../swap/plan.ts");
  const format = formatOf(flags);
  if (format === "json") await printJson(session, results);
  else await printSections(session, [{ table: swapTable(results, session) }], format);
  for (const measured of results.cells) {
    const heads = cutHeads(measured);
    const { cell } = measured;
    if (heads.length > 0) session.tell(texts.cut(cellTitle(cell), layersLabel(cell.layers), heads));
  }
}

function finish(
  { left, failures, plan }: SwapResults,
  path: string,
  isInterrupted: boolean,
  session: Session,
): void {
  if (left > 0) session.tell(texts.left(left));
  if (isInterrupted) session.exitCode = exitCodes.interrupted;
  else if (failures.length > 0) session.exitCode = exitCodes.partlyFailed;
  if (left > 0 || failures.length > 0) session.next("swap", "--resume", shownPath(path));
  else session.next(...nextCommand(plan));
}

/** What a swap costs may be learned back; what was learned may be heard. */
function nextCommand({
  model,
  adapters,
  selectors,
  layers,
  heads,
  prompt,
  text,
}: SwapPlan): readonly string[] {
  const [adapter] = adapters;
  if (adapter !== undefined) {
    const said = prompt ?? text.beginning.replaceAll(/\s+/g, " ");
    const words = ["--model", model, "--adapter", adapter.folder, "--prompt", said];
    return ["generate", ...words];
  }
  const [selector = "dot"] = selectors;
  // Distilling swaps whole layers.
  if (heads !== undefined) return ["inspect", selector];
  const places = layers === undefined ? [] : ["--layers", layers.join(",")];
  return ["distil", "--model", model, "--attention", selector, ...places, "--out", "runs/adapter"];
}
