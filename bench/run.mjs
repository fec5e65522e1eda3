/** @file Builds the benchmark with tsdown and runs it: `node bench/run.mjs [--json] [--rounds 7] [--only limit,patterns,jax,memory]`. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";

const root = fileURLToPath(new URL("..", import.meta.url));
const outDir = join(root, "node_modules", ".cache", "bench");
await build({
  cwd: root,
  config: false,
  entry: { attention: join(root, "bench", "attention.ts") },
  outDir,
  format: "esm",
  platform: "node",
  dts: false,
  logLevel: "warn",
});
const { status } = spawnSync(process.execPath, [join(outDir, "attention.mjs"), ...process.argv.slice(2)], {
  stdio: "inherit",
});
process.exitCode = status ?? 1;
