/** @file Writes what was found into the repository: a file of results for this version of Node, and the page of all of them. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AttentionReport } from "../attention/report.ts";
import { performancePage } from "./page.ts";
import { drawCurves } from "./plot.ts";

/** Writes `bench/results/node-<major>.json`, docs/performance.md and its figure; the files that were written. */
export function writeDocument(report: AttentionReport, root: string): readonly string[] {
  const results = join(root, "bench", "results");
  mkdirSync(results, { recursive: true });
  const own = join(results, `node-${majorOf(report)}.json`);
  writeFileSync(own, `${JSON.stringify(report, undefined, 2)}\n`);
  const reports = readdirSync(results)
    .filter((name) => /^node-\d+\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(results, name), "utf8")) as AttentionReport)
    .sort((a, b) => majorOf(b) - majorOf(a));
  const [page, figure] = [join(root, "docs", "performance.md"), join(root, "docs", "performance.svg")];
  writeFileSync(page, performancePage(reports));
  const [newest] = reports;
  const description = newest.curves
    .map(({ series, length, time_ms }) => `${series}, N = ${length}: ${time_ms} ms`)
    .join("; ");
  writeFileSync(
    figure,
    drawCurves(
      newest.curves,
      "Time of causal dot-product attention against the length of the sequence",
      description,
    ),
  );
  return [own, page, figure];
}

function majorOf({ machine }: AttentionReport): number {
  return Number(/^v(\d+)\./.exec(machine.node)![1]);
}
