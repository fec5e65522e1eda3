/** @file The program of `npm run bench`: words to a benchmark, its report to stdout, all else to stderr. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
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
  const progress = (text: string): void => {
    const seconds = Math.round((performance.now() - start) / 1000);
    process.stderr.write(`bench: ${String(seconds).padStart(4)} s  ${text}\n`);
  };
  const peers = options.peers ?? join(root, "bench", "peers");
  const report = await benchmark.run(options, { root, programs, peers }, progress);
  console.log(options.json ? JSON.stringify(report) : benchmark.text(report));
  if (options.write) {
    const files = benchmark.write(report, root);
    format(files);
    for (const file of files) process.stderr.write(`bench: wrote ${file}\n`);
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = usageExit;
}

/** As every file of the repository is formatted. */
function format(files: readonly string[]): void {
  const oxfmt = createRequire(join(root, "package.json")).resolve("oxfmt/bin/oxfmt");
  const { status } = spawnSync(process.execPath, [oxfmt, ...files.filter((file) => !file.endsWith(".svg"))], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) throw new Error("oxfmt could not format what was written");
}
