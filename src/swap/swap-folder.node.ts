/**
 * @file A comparison of swaps on disk: `swap.json` (the plan), `text.txt`, `base.json`, `cells/`, each written when it is measured, the
 * reports, and RUNNING.lock while a process measures.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { MissingError } from "../base/errors.ts";
import { writeJson } from "../compare/folder.node.ts";
import { removeTemporaries, writeFileAtomically } from "../checkpoints/write-atomically.node.ts";
import { decodeNumbers } from "../train/json-numbers.ts";
import { takeLock } from "../train/run-lock.node.ts";
import { type BaseMeasurement, type SwapCell, type SwapMeasurement } from "./measure-swap.ts";
import { type SwapPlan, type SwapResults, type TextFacts } from "./plan.ts";
import { renderSwapReport } from "./report.ts";

/** A folder of swaps, which this process alone works in until it is released. */
export interface SwapFolder {
  readonly path: string;
  readonly plan: SwapPlan;
  /** What models are measured on. */
  readonly text: string;
  readBase(): Promise<BaseMeasurement | undefined>;
  writeBase(base: BaseMeasurement): Promise<void>;
  readCell(cell: SwapCell): Promise<SwapMeasurement | undefined>;
  writeCell(measured: SwapMeasurement): Promise<void>;
  /** @returns the paths of the reports */
  writeReport(results: SwapResults): Promise<{ readonly json: string; readonly html: string }>;
  release(): Promise<void>;
}

const beginningCharacters = 60;

/**
 * What a report says of a text.
 *
 * @param name - of its file
 */
export function textFacts(text: string, name?: string): TextFacts {
  const characters = Array.from(text);
  return {
    ...(name === undefined ? {} : { name }),
    sha256: hashOf(text),
    characters: characters.length,
    beginning: characters.slice(0, beginningCharacters).join(""),
  };
}

/**
 * Makes the folder of a new comparison, `<out>/<date>-swap-<hash6>`; the same plan on the same day goes on in the same folder.
 *
 * @param text - what `plan.text` tells of
 * @throws MissingError `run-locked` where a living process works in it, `file-write` where the disk refuses
 */
export async function makeSwapFolder(
  out: string,
  plan: SwapPlan,
  text: string,
  date: Date,
): Promise<SwapFolder> {
  const path = resolve(out, `${date.toISOString().slice(0, 10)}-swap-${shortHash(plan)}`);
  await mkdir(join(path, "cells"), { recursive: true });
  const release = await takeLock(join(path, lockFile));
  try {
    await removeHalves(path);
    await writeFileAtomically(join(path, textFile), text);
    // The plan comes last: a folder with one can be gone on with.
    await writeJson(join(path, planFile), plan);
  } catch (error) {
    await release();
    throw error;
  }
  return folderOf(path, plan, text, release);
}

const [planFile, textFile, lockFile] = ["swap.json", "text.txt", "RUNNING.lock"];

/**
 * Opens a folder that a comparison began.
 *
 * @throws MissingError `swap-missing` where there is none, or its text is not the one of its plan; `run-locked` where a living process
 *   works in it
 */
export async function openSwapFolder(folder: string): Promise<SwapFolder> {
  const path = resolve(folder);
  const missing = (what: string): MissingError =>
    new MissingError(
      "swap-missing",
      `Cannot go on in ${folder} as it must hold ${planFile} and the text of it in ${textFile}: ${what}. Pass a folder that qklab swap made`,
    );
  const plan = await readJson<SwapPlan>(join(path, planFile));
  if (plan === undefined) throw missing(`there is no ${planFile} that can be read`);
  const text = await readFile(join(path, textFile), "utf8").catch(() => undefined);
  if (text === undefined || hashOf(text) !== plan.text.sha256)
    throw missing(`${textFile} is gone, or another`);
  const release = await takeLock(join(path, lockFile));
  await removeHalves(path);
  return folderOf(path, plan, text, release);
}

/** What a killed process left half-written. */
async function removeHalves(path: string): Promise<void> {
  await removeTemporaries(path);
  await removeTemporaries(join(path, "cells"));
}

function folderOf(path: string, plan: SwapPlan, text: string, release: () => Promise<void>): SwapFolder {
  const cellPath = (cell: SwapCell): string =>
    join(path, "cells", `${hashOf(JSON.stringify(cell)).slice(0, cellDigits)}.json`);
  return {
    path,
    plan,
    text,
    release,
    readBase: () => readJson(join(path, "base.json")),
    writeBase: (base) => writeJson(join(path, "base.json"), base),
    readCell: (cell) => readJson(cellPath(cell)),
    writeCell: (measured) => writeJson(cellPath(measured.cell), measured),
    async writeReport(results) {
      const [json, html] = [join(path, "report.json"), join(path, "report.html")];
      await writeJson(json, results);
      await writeFileAtomically(html, renderSwapReport(results));
      return { json, html };
    },
  };
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** So many that no two cells of a matrix get one name. */
const cellDigits = 16;

function shortHash(value: unknown): string {
  return hashOf(JSON.stringify(value)).slice(0, 6);
}

/** Undefined where there is no such file, or where it is no JSON: files are written whole, so that what is damaged is measured again. */
async function readJson<Value>(path: string): Promise<Value | undefined> {
  try {
    return decodeNumbers(JSON.parse(await readFile(path, "utf8"))) as Value;
  } catch {
    return undefined;
  }
}
