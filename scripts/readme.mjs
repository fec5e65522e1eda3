/**
 * @file Runs the quick comparison and writes its table and verdicts into README.md and README.zh.md, so that no number
 * there is typed by hand: `npm run readme`.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "qklab-readme-"));

function compare(...options) {
  return execFileSync(
    process.execPath,
    [join(root, "dist/cli.js"), "compare", "--out", out, "--format", "md", ...options],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    },
  ).trim();
}

const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim()}, Node ${process.version}`;
try {
  const startMs = performance.now();
  const english = compare("--preset", "quick", "--lang", "en");
  const seconds = Math.round((performance.now() - startMs) / 1000);
  const chinese = compare("--resume", "latest", "--lang", "zh");
  fill("README.md", `${english}\n\nTrained and measured in ${seconds} s on ${machine}.`);
  fill("README.zh.md", `${chinese}\n\n训练与测量共 ${seconds} 秒，机器：${machine}。`);
} finally {
  rmSync(out, { recursive: true, force: true });
}

function fill(page, text) {
  const path = join(root, page);
  const before = readFileSync(path, "utf8");
  const after = before.replace(
    /(<!-- quick:begin -->\n)[^]*(<!-- quick:end -->)/,
    (_, begin, end) => `${begin}\n${text}\n\n${end}`,
  );
  if (after === before)
    throw new Error(`${page} has no place for the output: <!-- quick:begin --> … <!-- quick:end -->`);
  writeFileSync(path, after);
}
