/** @file One run of `train`: which one it is, from wishes or from the folder that it lies in, and where it is kept. */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseSelector, printSelector } from "../../attention/index.ts";
import { parseMixer, printMixer } from "../../models/mixer.ts";
import { chooseSettings, requireUsed } from "../../train/chosen-settings.ts";
import { runFolderName } from "../../train/run-folder.node.ts";
import { type RunIdentity } from "../../train/run-storage.ts";
import { type Recipe } from "../../train/trainable.ts";
import { CommandError } from "../command-error.ts";
import { texts as configTexts } from "../dictionary/config.ts";
import { texts } from "../dictionary/runs.ts";
import { texts as valueTexts } from "../dictionary/values.ts";
import { exitCodes } from "../exit-codes.ts";
import { describeRun, exists } from "../inspect/run-folder.ts";
import { type RunWishes, trainingDevice } from "../run-wishes.ts";
import { everyTask } from "../settings.ts";

/** A run and its folder. */
export interface PlacedRun {
  readonly run: RunIdentity;
  readonly folder: string;
}

/** The default of `--out`. */
export const runsFolder = "runs";

/**
 * The run that wishes describe, in a folder that does not exist yet.
 *
 * @param recipeOf - the recipe of a task; refuses unknown ones
 * @throws CommandError where it is no single run; what the recipe and the selector refuse
 */
export async function newRun(wishes: RunWishes, recipeOf: (task: string) => Recipe): Promise<PlacedRun> {
  const { tasks = [], similarities = [], seeds = [0], learningRates = [], settings = {} } = wishes;
  for (const list of [tasks, similarities, seeds, learningRates]) {
    if (list.length > 1) throw new CommandError("one-run", valueTexts.oneTask(list.join(", ")));
  }
  const [task] = tasks;
  const [written] = similarities;
  if (task === undefined || written === undefined) throw new CommandError("needs-task", texts.needsTask);
  const recipe = recipeOf(task);
  const foreign = Object.keys(settings).find((name) => name !== task && name !== everyTask);
  if (foreign !== undefined) throw new CommandError("unused-setting", valueTexts.otherTask(foreign, task));
  const selector =
    recipe.comparesPairs === true ? printSelector(parseSelector(written)) : printMixer(parseMixer(written));
  const given = { ...settings[everyTask], ...settings[task] };
  const choice = chooseSettings(recipe, given);
  requireUsed(task, given, [choice]);
  const { settings: chosen } = choice;
  const rates = recipe.learningRates(chosen, selector);
  const run: RunIdentity = {
    task,
    selector,
    seed: seeds[0] ?? 0,
    learningRate: learningRates[0] ?? rates[Math.floor((rates.length - 1) / 2)] ?? 0,
    settings: { ...chosen },
    ...trainingDevice(wishes),
  };
  const name = wishes.name ?? `${task}-${selector}`;
  return {
    run,
    folder: await freeFolder(resolve(wishes.out ?? runsFolder, runFolderName(new Date(), name, run))),
  };
}

/** The run that lies in a folder, `latest` being the newest below `out`. */
export async function runToResume(folder: string | true, out: string = runsFolder): Promise<PlacedRun> {
  const place = folder === true || folder === "latest" ? await latestRun(resolve(out)) : resolve(folder);
  const { task, selector, seed, learningRate, settings, device } = await describeRun(place);
  return {
    run: { task, selector, seed, learningRate, settings, ...(device === undefined ? {} : { device }) },
    folder: place,
  };
}

/** The same run on the same day gets a number behind its name. */
async function freeFolder(base: string): Promise<string> {
  for (let count = 1; ; count++) {
    const folder = count === 1 ? base : `${base}-${count}`;
    if (!(await exists(folder))) return folder;
  }
}

async function latestRun(out: string): Promise<string> {
  const names = await readdir(out).catch(() => []);
  const runs = await Promise.all(
    names.map(async (name) => {
      const folder = join(out, name);
      const timeMs = await stat(join(folder, "config.json")).then(
        ({ mtimeMs }) => mtimeMs,
        () => -Infinity,
      );
      return { folder, timeMs };
    }),
  );
  const latest = runs.sort((a, b) => b.timeMs - a.timeMs)[0];
  if (latest !== undefined && latest.timeMs > -Infinity) return latest.folder;
  throw new CommandError("run-missing", configTexts.nothingToResume(out), exitCodes.missing);
}
