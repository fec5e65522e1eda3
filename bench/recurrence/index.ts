/** @file The benchmark of the recurrent core: its parts in order, and where its results are written. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reportText } from "../attention/report-text.ts";
import { type PartsReport } from "../attention/report.ts";
import { type Benchmark } from "../benchmark.ts";
import { runParts } from "../run-parts.ts";
import { crossover, decoding, dense, growth, peers } from "./parts.ts";

const parts = [dense, growth, crossover, decoding, peers];

/** `npm run bench -- recurrence` */
export const recurrence: Benchmark<PartsReport<"recurrence">> = {
  name: "recurrence",
  run: (options, places, progress) => runParts("recurrence", parts, { options, places, progress }),
  text: reportText,
  async write(report, root) {
    if (report === undefined) return [];
    const [, major] = /^v(\d+)\./.exec(report.machine.node)!;
    const path = `bench/results/recurrence-node-${major}.json`;
    mkdirSync(join(root, "bench", "results"), { recursive: true });
    writeFileSync(join(root, path), `${JSON.stringify(report, null, 2)}\n`);
    return [path];
  },
};
