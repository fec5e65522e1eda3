/** @file Writes what was found into the repository: a file of results for this version of Node, and the page of all of them. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "oxfmt";
import { type AttentionReport, type PartsReport } from "../attention/report.ts";
import { type LanguageReport } from "../language/report.ts";
import { performancePage } from "./page.ts";
import { drawCurves } from "./plot.ts";

const resultsFolder = "bench/results";

/** The reports that the page is made of, each one for each version of Node, the newest first. */
export interface Results {
  readonly attention: readonly AttentionReport[];
  readonly language: readonly LanguageReport[];
}

/** What the names of files of results begin with. */
const prefixes: Readonly<Record<keyof Results, string>> = { attention: "", language: "language-" };

/**
 * Writes `bench/results/…node-<major>.json`, docs/performance.md and its figure.
 *
 * @param report - what was found; without it the page is made of the results that are there
 * @returns the files that were written
 */
export async function writeDocument(
  report: AttentionReport | LanguageReport | undefined,
  root: string,
): Promise<readonly string[]> {
  const written: string[] = [];
  const write = (path: string, text: string): void => {
    writeFileSync(join(root, path), text);
    written.push(path);
  };
  if (report !== undefined) {
    mkdirSync(join(root, resultsFolder), { recursive: true });
    const path = `${resultsFolder}/${prefixes[report.benchmark]}node-${majorOf(report)}.json`;
    write(path, await formatted(root, path, JSON.stringify(report)));
  }
  const files = await documentOf(resultsIn(root), root);
  for (const [path, text] of Object.entries(files)) write(path, text);
  return written;
}

/** The results in the repository. */
export function resultsIn(root: string): Results {
  return { attention: reportsIn(root, "attention"), language: reportsIn(root, "language") };
}

function reportsIn<Name extends keyof Results>(root: string, benchmark: Name): Results[Name] {
  const names = new RegExp(`^${prefixes[benchmark]}node-\\d+\\.json$`);
  return readdirSync(join(root, resultsFolder))
    .filter((name) => names.test(name))
    .map((name): PartsReport => JSON.parse(readFileSync(join(root, resultsFolder, name), "utf8")))
    .sort((a, b) => majorOf(b) - majorOf(a)) as unknown as Results[Name];
}

/** The page and its figure as they are in the repository, by path. */
export async function documentOf(results: Results, root: string): Promise<Readonly<Record<string, string>>> {
  const [newest] = results.attention;
  const description = newest.curves
    .map(({ series, length, time_ms }) => `${series}, N = ${length}: ${time_ms} ms`)
    .join("; ");
  const title = "Time of causal dot-product attention against the length of the sequence";
  return {
    "docs/performance.md": await formatted(root, "docs/performance.md", performancePage(results)),
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

function majorOf({ machine }: Pick<PartsReport, "machine">): number {
  return Number(/^v(\d+)\./.exec(machine.node)![1]);
}
