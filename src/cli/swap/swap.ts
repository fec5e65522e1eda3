/** @file One `swap`, from its flags to its table: cell by cell, each kept when it is measured, a report, an exact resume. */
import { readFile } from "node:fs/promises";
import { formatDuration, formatNumber } from "../../compare/format.ts";
import type { LanguageModel } from "../../language/open-model.node.ts";
import type { SwapCell, SwapMeasurement, TrainedModel } from "../../swap/index.ts";
import type { openSwapFolder } from "../../swap/swap-folder.node.ts";
import { layersLabel, type SwapPlan, type SwapResults } from "../../swap/plan.ts";
import { texts } from "../dictionary/swap.ts";
import { codeOf, exitCodes } from "../exit-codes.ts";
import { openModel } from "../generate/load.ts";
import { listenForInterruption } from "../interruption.ts";
import { formatOf, printJson, printSections } from "../printing.ts";
import { openProgress } from "../progress/progress.ts";
import { type Session, shownPath } from "../session.ts";
import { swapTable } from "./table.ts";
import { type SwapFlags } from "./options.ts";

/** Measures what the flags ask for, prints the table, and sets the exit code. */
export async function swap(flags: SwapFlags, session: Session): Promise<void> {
  const { startJax } = await import("../../kernels/jax/start.ts");
  await startJax({ threads: 1 });
  const { makeSwapFolder, openSwapFolder: open } = await import("../../swap/swap-folder.node.ts");
  const opened = flags.resume === undefined ? undefined : await open(flags.resume);
  const plan = opened?.plan ?? (await planOf(flags));
  const interruption = listenForInterruption(() => session.tell(texts.stopping));
  let model: LanguageModel | undefined;
  try {
    model = await openModel({ model: plan.model, device: "wasm" }, session, interruption.stop);
    const base = await loadBase(model, flags);
    try {
      const cells = await checkedCells(base, plan);
      const folder = opened ?? (await makeSwapFolder(flags.out, plan, new Date()));
      session.tell(texts.planned(cells.length, shownPath(folder.path)));
      const results = await measureAll(base, model, folder, cells, flags.maxTime, interruption.stop, session);
      const { html } = await folder.writeReport(results);
      await print(results, flags, session);
      session.tell(texts.report(shownPath(html)));
      finish(results, folder.path, interruption.stop.aborted, session);
    } finally {
      for (const array of Object.values(base.arrays)) array.dispose();
      base.model.dispose();
    }
  } finally {
    interruption.close();
    await model?.close();
  }
}

async function planOf(flags: SwapFlags): Promise<SwapPlan> {
  const { model = "", attention = [], layers, heads, prompt } = flags;
  const text = await textOf(flags.eval ?? "");
  return {
    model,
    selectors: attention,
    ...(layers === undefined ? {} : { layers }),
    ...(heads === undefined ? {} : { heads }),
    eachLayer: flags.eachLayer ?? false,
    calibration: flags.calibrate,
    seed: flags.seed,
    text,
    context: flags.context,
    tokens: flags.tokens,
    ...(prompt === undefined ? {} : { prompt }),
    newTokens: flags.newTokens,
    needleLength: flags.needles,
    needleLanguage: /\p{Script=Han}/u.test(text) ? "zh" : "en",
  };
}

/** The text of a file of that name; the words themselves where there is none and they are no name. */
async function textOf(given: string): Promise<string> {
  try {
    return await readFile(given, "utf8");
  } catch (error) {
    if (/^\S+\.\w{1,8}$/.test(given)) throw error;
    return given;
  }
}

async function loadBase(model: LanguageModel, { threads }: SwapFlags): Promise<TrainedModel> {
  const { nodeEngine } = await import("../../kernels/wasm/engine/pool.node.ts");
  const { arrayOf } = await import("../../kernels/jax/tensors.ts");
  const engine = nodeEngine(threads === undefined ? {} : { threads });
  const loaded = await model.load({ engine });
  const arrays = Object.fromEntries(
    Object.entries(loaded.tensors).map(([name, tensor]) => [name, arrayOf(tensor)]),
  );
  return { model: loaded.model, arrays, config: model.layout.config, engine };
}

/** The cells; one that does not fit the model is refused before anything is measured. */
async function checkedCells(base: TrainedModel, plan: SwapPlan): Promise<readonly SwapCell[]> {
  const { attentionsOf } = await import("../../swap/index.ts");
  const { cellsOf } = await import("../../swap/plan.ts");
  const { decoder } = await import("../../models/index.ts");
  const cells = cellsOf(plan, base.config.layers);
  for (const cell of cells) {
    decoder({ ...base.config, attention: attentionsOf(base, cell, plan.calibration) }).dispose();
  }
  return cells;
}

type Folder = Awaited<ReturnType<typeof openSwapFolder>>;

async function measureAll(
  base: TrainedModel,
  { tokenizer, chat, endTokens }: LanguageModel,
  folder: Folder,
  cells: readonly SwapCell[],
  maxTimeMs: number | undefined,
  stop: AbortSignal,
  session: Session,
): Promise<SwapResults> {
  const { measureBase, measureSwap, needleTest, swapStages, textWindows } =
    await import("../../swap/index.ts");
  const { plan } = folder;
  const { say } = session;
  const startMs = performance.now();
  const length = Math.min(plan.context, base.config.maximumLength);
  const promptText = plan.prompt;
  const tokens =
    promptText === undefined
      ? undefined
      : chat === undefined
        ? tokenizer.encode(promptText)
        : tokenizer.encode(chat([{ role: "user", content: promptText }]), { addSpecial: false });
  const questions = {
    windows: textWindows(tokenizer, plan.text, length, plan.tokens),
    tokenizer,
    calibration: plan.calibration,
    seed: plan.seed,
    ...(plan.needleLength === 0
      ? {}
      : {
          needles: needleTest(tokenizer, plan.text, {
            length: plan.needleLength,
            language: plan.needleLanguage,
            seed: plan.seed,
          }),
        }),
    ...(tokens === undefined ? {} : { prompt: { tokens, newTokens: plan.newTokens, endTokens } }),
  };
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
      const label = `${cell.selector} · ${layersLabel(cell.layers)}`;
      const done = await folder.readCell(cell);
      if (done !== undefined) {
        measured.push(done);
        reused += 1;
        continue;
      }
      if (stop.aborted || (maxTimeMs !== undefined && performance.now() - startMs > maxTimeMs)) {
        left += 1;
        continue;
      }
      try {
        const found = await measureSwap(base, before, cell, questions, (stage) => standing(label, stage));
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
    return { plan, base: before.measurement, cells: measured, failures, left };
  } finally {
    progress.close();
  }
}

async function print(results: SwapResults, flags: SwapFlags, session: Session): Promise<void> {
  const format = formatOf(flags);
  if (format === "json") await printJson(session, results);
  else await printSections(session, [{ table: swapTable(results) }], format);
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
  else session.next("inspect", plan.selectors[0] ?? "dot");
}
