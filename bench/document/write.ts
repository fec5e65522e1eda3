/** @file Writes what was found into the repository: a file of results for this version of Node, and the page of all of them. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "oxfmt";
import { type AttentionReport } from "../attention/report.ts";
import { performancePage } from "./page.ts";
import { drawCurves } from "./plot.ts";

const resultsFolder = "bench/results";

/**
 * Writes `bench/results/node-<major>.json`, docs/performance.md and its figure.
 *
 * @param report - what was found; without it the page is made of the results that are there
 * @returns the files that were written
 */
export async function writeDocument(
  report: AttentionReport | undefined,
  root: string,
): Promise<readonly string[]> {
  const written: string[] = [];
  const write = (path: string, text: string): void => {
    writeFileSync(join(root, path), text);
    written.push(path);
  };
  if (report !== undefined) {
    mkdirSync(join(root, resultsFolder), { recursive: true });
    const path = `${resultsFolder}/node-${majorOf(report)}.json`;
    write(path, await formatted(root, path, JSON.stringify(report)));
  }
  const files = await documentOf(resultsIn(root), root);
  for (const [path, text] of Object.entries(files)) write(path, text);
  return written;
}

/** The results in the repository, the newest Node first. */
export function resultsIn(root: string): readonly AttentionReport[] {
  return readdirSync(join(root, resultsFolder))
    .filter((name) => /^node-\d+\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(root, resultsFolder, name), "utf8")) as AttentionReport)
    .sort((a, b) => majorOf(b) - majorOf(a));
}

/** The page and its figure as they are in the repository, by path. */
export async function documentOf(
  reports: readonly AttentionReport[],
  root: string,
): Promise<Readonly<Record<string, string>>> {
  const [newest] = reports;
  const description = newest.curves
    .map(({ series, length, time_ms }) => `${series}, N = ${length}: ${time_ms} ms`)
    .join("; ");
  const title = "Time of causal dot-product attention against the length of the sequence";
  return {
    "docs/performance.md": await formatted(root, "docs/performance.md", performancePage(reports)),
    "docs/performance.svg": drawCurves(newest.curves, title, description),
  };
}

/** As every file of the repository is formatted. */
async function formatted(root: string, path: string, text: string): Promise<string> {
  const { printWidth } = JSON.parse(readFileSync(join(root, ".oxfmtrc.json"), "utf8")) as {
    readonly printWidth: number;
  };
  const { code, errors } = await format(path, text, { printWidth });
  if (errors.length > 0) throw new Error(`oxfmt could not format ${path}: ${errors[0].message}`);
  return code;
}

function majorOf({ machine }: AttentionReport): number {
  return Number(/^v(\d+)\./.exec(machine.node)![1]);
}
