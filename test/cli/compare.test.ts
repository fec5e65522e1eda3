import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cli, cliJson, startCli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();

interface Compared {
  readonly folder: string;
  readonly reportHtml: string;
  readonly outcome: string;
  readonly counts: Record<string, number>;
  readonly cells: readonly { id: string; status: string; metric: { mean: number } | null }[];
}

const flagsOf = (settings: readonly string[]): string[] => settings.flatMap((setting) => ["--set", setting]);
const smallRecall = [
  "pairs=4",
  "keyWidth=8",
  "headWidth=8",
  "valueWidth=8",
  "classes=8",
  "batch=4",
  "testBatches=1",
  "warmUp=2",
];
const smallTree = ["hierarchy.source=tree", "hierarchy.depth=2", "hierarchy.epochs=2"];
const smoke = ["compare", "--preset", "smoke", ...flagsOf(smallRecall.map((setting) => `recall.${setting}`))];

describe("compare", () => {
  test("keeps the cells that worked beside one that failed, and says so by exit code 6", async () => {
    const out = join(folder, "partly");
    const flags = [
      "--task",
      "recall,hierarchy",
      "--similarity",
      "l2,dot+rope",
      ...flagsOf(["recall.steps=4", ...smallTree]),
    ];
    const { code, stdout, stderr } = await cli([...smoke, ...flags, "--out", out, "--json"]);
    expect({ code, stderr }).toMatchObject({ code: 6 });
    const compared = JSON.parse(stdout) as Compared;
    expect(compared.counts).toEqual({ finished: 3, failed: 1, diverged: 0, left: 0 });
    expect(compared.cells.map(({ id, status }) => [id, status])).toContainEqual([
      "hierarchy/dot+rope",
      "failed",
    ]);
    expect(await readFile(compared.reportHtml, "utf8")).toContain("<html");
    expect(stderr).toMatch(/\nNext: .* compare --resume .*\n$/);

    const inspected = await cli(["inspect", compared.folder]);
    expect(inspected.stdout).toContain("4 of 4 runs have ended");
    const table = await cli(["compare", "--resume", compared.folder, "--format", "csv"]);
    expect(table.code).toBe(6);
    expect(table.stdout.trimEnd().split("\n").length).toBe(5);
  });

  test("has a recurrence and a softmax in one matrix, each with the bytes that it keeps", async () => {
    const out = join(folder, "classes");
    const flags = ["--task", "recall", "--similarity", "deltanet,dot", "--set", "recall.steps=3"];
    const { folder: compared, cells } = await cliJson<Compared>([...smoke, ...flags, "--out", out]);
    expect(cells.map(({ id, status }) => [id, status])).toEqual([
      ["recall/deltanet", "measured"],
      ["recall/dot", "measured"],
    ]);
    const report = JSON.parse(await readFile(join(compared, "report.json"), "utf8")) as {
      readonly cells: readonly { readonly measured: Readonly<Record<string, { readonly mean: number }>> }[];
    };
    expect(report.cells.map(({ measured }) => measured["stateBytes"]?.mean)).toEqual([8 * 8 * 4, 8 * 16 * 4]);
    expect(report.cells.map(({ measured }) => "largestLogit" in measured)).toEqual([false, true]);
  });

  test("stops after checkpoints at Ctrl-C, and goes on with the same numbers", async () => {
    const out = join(folder, "stopped");
    const flags = ["--task", "recall", "--similarity", "l2,dot", "--set", "recall.steps=120", "--jobs", "1"];
    const running = startCli([...smoke, ...flags, "--out", out]);
    await running.seen("✓");
    running.process.kill("SIGINT");
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stderr }).toMatchObject({ code: 130 });
    expect(stderr).toContain("Stopping after a checkpoint");
    expect(stdout).toContain("l2");
    const [resumed, whole] = await Promise.all([
      cliJson<Compared>(["compare", "--resume", "--out", out]),
      cliJson<Compared>([...smoke, ...flags, "--out", join(folder, "whole")]),
    ]);
    expect(resumed.outcome).toBe("done");
    expect(await readdir(out)).toHaveLength(1);
    const means = ({ cells }: Compared): unknown => cells.map(({ id, metric }) => [id, metric]);
    expect(means(resumed)).toEqual(means(whole));
  });
});

test("tasks in tokens are trained and drawn along what makes them hard", async () => {
  const settings = ["steps=2", "width=16", "layers=1", "batch=4", "length=8", "induction.factors=[1,2]"];
  const flags = ["--preset", "smoke", "--task", "copy,induction", "--similarity", "l2", ...flagsOf(settings)];
  const out = join(folder, "tokens");
  const { folder: place, reportHtml } = await cliJson<Compared>(["compare", ...flags, "--out", out]);
  const html = await readFile(reportHtml, "utf8");
  for (const id of [
    "task-copy",
    "copy-placeAccuracy-lengths-caption",
    "induction-accuracy-lengths-caption",
  ]) {
    expect(html).toContain(`id="${id}"`);
  }
  expect(await readdir(join(place, "runs"))).toHaveLength(2);
});

test.each([
  [["--preset", "smol"], 2, "Did you mean 'smoke'?"],
  [["--task", "recal"], 2, "Did you mean 'recall'"],
  [["--similarity", "dot,cosin"], 2, "'cosine'"],
  [["--similarity", "dot,,l2"], 2, "without empty places"],
  [["--seed", "0,one"], 2, "a whole number ≥ 0: 'one'"],
  [["--lr", "0"], 2, "a number > 0"],
  [["--task", "recall", "--set", "language.steps=3"], 2, "not compared"],
  [["--task", "copy", "--set", "length=33"], 2, "its length must be even: 33"],
  [["--max-time", "10"], 2, "a time with its unit"],
  [["--threads", "2"], 2, "no such option"],
  [["--resume", "nowhere"], 3, "comparison.json"],
])("compare %j is refused before anything runs", async (flags, code, words) => {
  const result = await cli(["compare", "--out", join(folder, "never"), ...flags]);
  expect(result.stderr).toMatch(/^Error: Cannot [^\n]+\n$/);
  expect(result.stderr).toContain(words);
  expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: "" });
  expect(await readdir(folder)).not.toContain("never");
});
