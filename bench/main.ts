/** @file The program of `npm run bench`: words to a benchmark, its report to stdout, all else to stderr. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Benchmark } from "./benchmark.ts";
import { benchmarks } from "./benchmarks.ts";
import { readOptions, UsageError } from "./options.ts";

/** Wrong words on the command line, as in the rest of the project. */
const usageExit = 2;

const [, , root, ...words] = process.argv;
const programs = dirname(fileURLToPath(import.meta.url));
try {
  const options = readOptions(words, [...benchmarks.keys()]);
  const benchmark = benchmarks.get(options.benchmark)! as unknown as Benchmark;
  const start = performance.now();
  const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
  const progress = (text: string): void => {
    const seconds = Math.round((performance.now() - start) / 1000);
    say(`${String(seconds).padStart(4)} s  ${text}`);
  };
  const peers = options.peers ?? join(root, "bench", "peers");
  const report = options.redraw
    ? undefined
    : await benchmark.run(options, { root, programs, peers }, progress);
  if (report !== undefined) console.log(options.json ? JSON.stringify(report) : benchmark.text(report));
  if (options.write || options.redraw) {
    for (const file of await benchmark.write(report, root)) say(`wrote ${file}`);
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = usageExit;
}
