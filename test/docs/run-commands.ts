/**
 * @file Runs the shell blocks of the documentation with the built command line. `sh`: every line is a comment or begins
 * with `qklab` or `npx qklab`, and the block is run in an empty folder; `sh long`: the same, but only by
 * `npm run test:long`; `sh install`: lines for the reader's own machine, of which the npm scripts must exist.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect } from "vitest";
import { type Block, readSource, root } from "./blocks.ts";

/** Runs a block of `qklab` lines; its output must be the `text exact` block behind it, when there is one. */
export function runCommands({ place, code, output }: Block, limitMs: number): void {
  const commands = linesOf(code);
  for (const command of commands) {
    expect(command, `${place}: a \`sh\` block runs qklab only; others are \`sh install\``).toMatch(
      /^(npx )?qklab\b/,
    );
  }
  const cli = join(root, "dist", "cli.js");
  expect(existsSync(cli), `${cli} is absent: run \`npm run build\``).toBe(true);
  const folder = mkdtempSync(join(tmpdir(), "qklab-docs-"));
  try {
    const shim = join(folder, "qklab");
    writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`);
    chmodSync(shim, 0o755);
    const script = commands.map((command) => command.replace(/^npx /, "")).join("\n");
    const { status, signal, stdout, stderr } = spawnSync("bash", ["-euo", "pipefail", "-c", script], {
      cwd: mkdtempSync(join(folder, "empty-")),
      env: { ...process.env, PATH: `${folder}${delimiter}${process.env["PATH"]}`, NO_COLOR: "1" },
      encoding: "utf8",
      timeout: limitMs,
    });
    expect({ status, signal }, `${place} printed:\n${stdout}${stderr}`).toEqual({ status: 0, signal: null });
    if (output?.tag === "text exact") expect(stdout.trim()).toBe(output.text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Checks that the npm scripts which a block names exist. */
export function checkScripts({ place, code }: Block): void {
  const { scripts } = JSON.parse(readSource("package.json")) as { scripts: Record<string, string> };
  for (const line of linesOf(code)) {
    const script = /^npm (?:run )?(start|test|(?<=run )[\w:-]+)/.exec(line)?.[1];
    if (script !== undefined) expect(Object.keys(scripts), `${place} names \`${line}\``).toContain(script);
  }
}

/** The commands of a block: a backslash joins lines, comments and prompts go. */
function linesOf(code: string): string[] {
  return code
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/^\$ /, "").trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
