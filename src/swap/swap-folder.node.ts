/** @file A comparison of swaps on disk: `swap.json` (the plan), `base.json`, `cells/`, each written when it is measured, and the reports. */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { MissingError } from "../base/errors.ts";
import { writeJson } from "../compare/folder.node.ts";
import { writeFileAtomically } from "../checkpoints/write-atomically.node.ts";
import { decodeNumbers } from "../train/json-numbers.ts";
import { type BaseMeasurement, type SwapCell, type SwapMeasurement } from "./measure-swap.ts";
import { type SwapPlan, type SwapResults } from "./plan.ts";
import { renderSwapReport } from "./report.ts";

/** A folder of swaps. */
export interface SwapFolder {
  readonly path: string;
  readonly plan: SwapPlan;
  readBase(): Promise<BaseMeasurement | undefined>;
  writeBase(base: BaseMeasurement): Promise<void>;
  readCell(cell: SwapCell): Promise<SwapMeasurement | undefined>;
  writeCell(measured: SwapMeasurement): Promise<void>;
  /** @returns the paths of the reports */
  writeReport(results: SwapResults): Promise<{ readonly json: string; readonly html: string }>;
}

/**
 * Makes the folder of a new comparison, `<out>/<date>-swap-<hash6>`; the same plan on the same day goes on in the same folder.
 *
 * @throws MissingError `file-write` where the disk refuses
 */
export async function makeSwapFolder(out: string, plan: SwapPlan, date: Date): Promise<SwapFolder> {
  const path = resolve(out, `${date.toISOString().slice(0, 10)}-swap-${hashOf(plan)}`);
  await mkdir(join(path, "cells"), { recursive: true });
  await writeJson(join(path, "swap.json"), plan);
  return folderOf(path, plan);
}

/**
 * Opens a folder that a comparison began.
 *
 * @throws MissingError `swap-missing` where there is none
 */
export async function openSwapFolder(folder: string): Promise<SwapFolder> {
  const path = resolve(folder);
  const plan = await readJson<SwapPlan>(join(path, "swap.json"));
  if (plan !== undefined) return folderOf(path, plan);
  throw new MissingError(
    "swap-missing",
    `Cannot go on in ${folder} as it must hold swap.json: there is none that can be read. Pass a folder that qklab swap made`,
  );
}

function folderOf(path: string, plan: SwapPlan): SwapFolder {
  const cellPath = (cell: SwapCell): string => join(path, "cells", `${hashOf(cell)}.json`);
  return {
    path,
    plan,
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

function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 6);
}

/** Undefined where there is no such file, or where it is no JSON: files are written whole, so that what is damaged is measured again. */
async function readJson<Value>(path: string): Promise<Value | undefined> {
  try {
    return decodeNumbers(JSON.parse(await readFile(path, "utf8"))) as Value;
  } catch {
    return undefined;
  }
}
