import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cli, cliJson, startCli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();

/** Recall so small that a step takes milliseconds. */
const small = [
  "pairs=4",
  "keyWidth=8",
  "headWidth=8",
  "valueWidth=8",
  "classes=8",
  "batch=4",
  "testBatches=1",
  "warmUp=2",
];
const smallFlags = small.flatMap((setting) => ["--set", setting]);
const recall = ["train", "--task", "recall", "--similarity", "l2", ...smallFlags];

interface Trained {
  readonly folder: string;
  readonly outcome: string;
  readonly selector: string;
  readonly seed: number;
  readonly learningRate: number;
  readonly steps: number;
  readonly settings: Record<string, unknown>;
  readonly validation: Record<string, number>;
  readonly test: Record<string, number>;
}

async function losses(run: string): Promise<number[]> {
  const text = await readFile(join(run, "metrics.jsonl"), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { loss: number }).loss);
}

/** Runs until it is stopped by `signal`, some steps after it began. */
async function interrupt(
  arguments_: readonly string[],
  out: string,
  signal: NodeJS.Signals,
): Promise<string> {
  const running = startCli([...arguments_, "--out", out]);
  await running.seen("Training");
  const [name = ""] = await readdir(out);
  const run = join(out, name);
  const hasSteps = async (): Promise<boolean> =>
    (await readFile(join(run, "metrics.jsonl"), "utf8").catch(() => "")).split("\n").length > 5;
  while (!(await hasSteps())) await new Promise((resolve) => void setTimeout(resolve, 20));
  running.process.kill(signal);
  const { code, stdout, stderr } = await running.ended;
  if (signal !== "SIGKILL") {
    expect(stderr).toMatch(/Stopped after step \d+; [^\n]*\nNext: [^\n]* train --resume [^\n]*\n$/);
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  }
  return run;
}

describe("train", () => {
  test("keeps a run as the files say, prints its summary, and names the next command", async () => {
    const out = join(folder, "tiny");
    const { code, stdout, stderr } = await cli([
      ...recall,
      "--set",
      "steps=6",
      "--out",
      out,
      "--format",
      "csv",
    ]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^name,validation,test\r\naccuracy,/);
    expect(stderr).toMatch(/\nNext: .* inspect .*\n$/);
    const [name = ""] = await readdir(out);
    expect(name).toMatch(/^\d{4}-\d{2}-\d{2}-recall-l2-[0-9a-f]{6}$/);
    const run = join(out, name);
    expect((await readdir(run)).sort()).toEqual([
      "DONE",
      "checkpoint-6",
      "config.json",
      "env.json",
      "metrics.jsonl",
      "summary.json",
    ]);
    expect(await losses(run)).toHaveLength(6);
    const inspected = await cliJson<{ kind: string; state: string; summary: object }>(["inspect", run]);
    expect(inspected).toMatchObject({ kind: "run", state: "done" });
    const again = await cliJson<Trained>([...recall, "--set", "steps=6", "--out", out]);
    expect(again.folder).toBe(`${run}-2`);
    expect(again.test["accuracy"]).toBe(
      (JSON.parse(await readFile(join(run, "summary.json"), "utf8")) as Trained).test["accuracy"],
    );
  });

  test("stopped by Ctrl-C or killed, and resumed, gives the numbers of a run never stopped", async () => {
    const flags = [...recall, "--set", "steps=120"];
    const whole = await cliJson<Trained>([...flags, "--out", join(folder, "whole")]);
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const out = join(folder, signal);
      const run = await interrupt(flags, out, signal);
      if (signal === "SIGINT") {
        expect(await cliJson(["inspect", run])).toMatchObject({ state: "stopped" });
        expect((await readdir(run)).some((name) => name.startsWith("checkpoint-"))).toBe(true);
      }
      const resumed = await cliJson<Trained>(["train", "--resume", "--out", out]);
      expect(resumed.folder).toBe(run);
      expect(await losses(run)).toEqual(await losses(whole.folder));
      expect(resumed.validation).toEqual(whole.validation);
      expect(resumed.test).toEqual(whole.test);
    }
  });

  test("stops when its time is over, which is no failure", async () => {
    const { code, stderr } = await cli([
      ...recall,
      "--set",
      "steps=100k",
      "--max-time",
      "50ms",
      "--out",
      join(folder, "time"),
    ]);
    expect(stderr).toContain("Stopped after step");
    expect(code).toBe(0);
  });
});

describe("a config file", () => {
  test("gives what flags do not, setting by setting", async () => {
    const config = join(folder, "run.toml");
    await writeFile(
      config,
      `task = "recall"\nsimilarity = "dot"\nseed = 7\nlr = 0.05\nout = "${join(folder, "config")}"\n[set]\nsteps = 3\n[set.recall]\n` +
        small.map((setting) => `${setting.replace("=", " = ")}\n`).join(""),
    );
    const flags = ["--similarity", "cosine", "--set", "recall.classes=16", "--name", "mine"];
    const trained = await cliJson<Trained>(["train", "--config", config, ...flags]);
    expect(trained).toMatchObject({ selector: "cosine", seed: 7, learningRate: 0.05, steps: 3 });
    expect(trained.settings).toMatchObject({ classes: 16, pairs: 4 });
    expect(trained.folder).toMatch(/config\/[^/]*-mine-[0-9a-f]{6}$/);
  });

  test.each([
    ["unknown.toml", "task = 'recall'\nsimilarty = 'dot'\n", 2, "Did you mean 'similarity'?"],
    ["value.json", '{"seed": -1}', 2, "the value of 'seed'"],
    ["form.yaml", "seed: 1", 2, "must end in .toml or .json"],
    ["broken.toml", "seed = = 1", 2, "must be well-formed"],
    ["list.json", "[1]", 2, "must be well-formed"],
    ["time.json", '{"max-time": "90"}', 2, "a time with its unit"],
  ])("%s is refused", async (name, text, code, words) => {
    const config = join(folder, name);
    await writeFile(config, text);
    const result = await cli(["train", "--config", config]);
    expect(result.stderr).toMatch(/^Error: Cannot [^\n]+\n$/);
    expect(result.stderr).toContain(words);
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: "" });
  });
});

describe("what cannot be trained", () => {
  test.each([
    [["--similarity", "dot"], 2, "--task and --similarity are needed"],
    [["--task", "recal", "--similarity", "dot"], 2, "Did you mean 'recall'"],
    [["--task", "recall", "--similarity", "dot,l2"], 2, "Use qklab compare for several"],
    [["--task", "recall", "--similarity", "dot", "--set", "stepz=1"], 2, "Did you mean 'steps'"],
    [
      ["--task", "recall", "--similarity", "dot", "--set", "language.steps=1"],
      2,
      "'language' is given settings too",
    ],
    [["--task", "recall", "--similarity", "dot", "--device", "webgpu"], 4, "Use --device wasm"],
    [["--config", "absent.toml"], 3, "Check the path"],
    [["--resume", "--seed", "1"], 2, "Cannot resume with --seed"],
    [["--resume", "latest"], 3, "there is none"],
  ])("%j", async (flags, code, words) => {
    const empty = join(folder, "empty");
    await mkdir(empty, { recursive: true });
    const result = await cli(["train", ...flags], { cwd: empty });
    expect(result.stderr).toMatch(/^Error: Cannot [^\n]+\n$/);
    expect(result.stderr).toContain(words);
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: "" });
    expect(await readdir(empty)).toEqual([]);
  });
});
