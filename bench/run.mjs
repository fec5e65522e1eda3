/**
 * @file Builds the benchmark with tsdown and runs it: `npm run bench -- attention [--preset peers|own|quick] [--json]
 * [--rounds 7] [--threads 2] [--only limit,torch] [--write | --redraw]`.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";

const root = fileURLToPath(new URL("..", import.meta.url));
const contestants = [
  "distillation",
  "own",
  "jax",
  "language",
  "onnxruntime",
  "onnxruntime-language",
  "ruvector",
  "tfjs",
  "training",
];

// Below node_modules, where the programs find the project's packages; a folder a run, as two may run at the same time.
const cache = join(root, "node_modules", ".cache");
mkdirSync(cache, { recursive: true });
const outDir = mkdtempSync(join(cache, "bench-"));
try {
  await build({
    cwd: root,
    config: false,
    entry: {
      main: join(root, "bench", "main.ts"),
      ...Object.fromEntries(
        contestants.map((name) => [name, join(root, "bench", "contestants", `${name}.ts`)]),
      ),
    },
    outDir,
    format: "esm",
    platform: "node",
    deps: { skipNodeModulesBundle: true },
    dts: false,
    logLevel: "silent",
  });
  const words = process.argv.slice(2);
  const { status } = spawnSync(process.execPath, [join(outDir, "main.mjs"), root, ...words], {
    stdio: "inherit",
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(outDir, { recursive: true, force: true });
}
