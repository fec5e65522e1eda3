import { type ChildProcess, fork } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunEnding, type RunMessage, type StartMessage } from "./serve-run.node.ts";

/** A killed run must be far from its end when its first progress is told. */
const manySteps = 150;

let place: string;
let program: string;

const request: Omit<StartMessage, "folder"> = {
  kind: "start",
  task: "recall",
  selector: "dot",
  seed: 2,
  learningRate: 0.03,
  settings: {
    steps: manySteps,
    pairs: 4,
    batch: 8,
    classes: 8,
    valueWidth: 4,
    keyWidth: 4,
    headWidth: 4,
    testBatches: 1,
  },
  checkpointEvery: 50,
};

beforeAll(async () => {
  // Beside node_modules, where the bundle finds its packages.
  const cache = fileURLToPath(new URL("../../node_modules/.cache/", import.meta.url));
  await mkdir(cache, { recursive: true });
  place = await mkdtemp(join(cache, "run-process-"));
  await build({
    config: false,
    entry: { program: fileURLToPath(new URL("run-process.node.ts", import.meta.url)) },
    outDir: join(place, "program"),
    platform: "node",
    deps: { neverBundle: /^node:/, skipNodeModulesBundle: true },
    dts: false,
    fixedExtension: false,
    logLevel: "silent",
  });
  program = join(place, "program", "program.js");
});

afterAll(() => rm(place, { recursive: true, force: true }));

interface Run {
  readonly child: ChildProcess;
  readonly messages: RunMessage[];
  readonly ended: Promise<RunEnding | undefined>;
}

function start(
  folder: string,
  change: Partial<StartMessage> = {},
  onMessage?: (run: Run, message: RunMessage) => void,
): Run {
  const child = fork(program, [], { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: [] });
  const messages: RunMessage[] = [];
  const ended = new Promise<RunEnding | undefined>((resolve) => {
    child.on("exit", () => {
      const last = messages.at(-1);
      resolve(last?.kind === "progress" ? undefined : last);
    });
  });
  const run = { child, messages, ended };
  child.on("message", (message: RunMessage) => {
    messages.push(message);
    onMessage?.(run, message);
  });
  child.send({ ...request, ...change, folder: join(place, folder) });
  return run;
}

async function numbersIn(folder: string): Promise<object> {
  const lines = (await readFile(join(place, folder, "metrics.jsonl"), "utf8")).trim().split("\n");
  const records = lines.map((line) => {
    const { timeMs: _, ...record } = JSON.parse(line) as { timeMs: number };
    return record;
  });
  const checkpoint = join(place, folder, `checkpoint-${manySteps}`);
  const { validation, test } = JSON.parse(
    await readFile(join(place, folder, "summary.json"), "utf8"),
  ) as Record<string, object>;
  return {
    records,
    validation,
    test,
    model: await readFile(join(checkpoint, "model.safetensors")),
    optimiser: await readFile(join(checkpoint, "optimizer.safetensors")),
  };
}

describe("the process of a run", () => {
  test("a run that was killed is resumed by another process and gives the numbers of one that never was", async () => {
    const often = { checkpointEvery: 5 };
    const whole = start("whole");
    const killed = start("killed", often, ({ child }, message) => {
      if (message.kind === "progress" && message.step >= 7) child.kill("SIGKILL");
    });
    expect(await killed.ended).toBeUndefined();
    expect(await readdir(join(place, "killed"))).toContain("RUNNING.lock");
    expect(await readdir(join(place, "killed"))).not.toContain("DONE");

    const resumed = await start("killed").ended;
    expect(resumed).toMatchObject({ kind: "done" });
    expect(await whole.ended).toMatchObject({ kind: "done", summary: { steps: manySteps, task: "recall" } });
    expect(await numbersIn("killed")).toEqual(await numbersIn("whole"));
    expect(await readdir(join(place, "killed"))).toContain("DONE");

    const { summary } = (await whole.ended) as Extract<RunEnding, { kind: "done" }>;
    expect(summary.peakMemoryBytes).toBeGreaterThan(10_000_000);
    expect(Object.keys(summary.test).sort()).toEqual(
      ["accuracy", "entropy", "largestLogit", "loss", "parameters", "stateBytes"].sort(),
    );
  });

  test.concurrent.each(["stop", "SIGINT", "disconnect"])(
    "stops after a checkpoint on %s, and goes on later",
    async (how) => {
      // A second SIGINT would end the process at once, as it should.
      let isTold = false;
      const stopped = start(how, {}, ({ child }, message) => {
        if (message.kind !== "progress" || isTold) return;
        isTold = true;
        if (how === "stop") child.send({ kind: "stop" });
        else if (how === "SIGINT") child.kill("SIGINT");
        else child.disconnect();
      });
      const ending = await stopped.ended;
      if (how !== "disconnect") expect(ending).toMatchObject({ kind: "stopped" });
      const names = await readdir(join(place, how));
      expect(names.some((name) => name.startsWith("checkpoint-"))).toBe(true);
      expect(names).not.toContain("RUNNING.lock");
      expect(names).not.toContain("DONE");
      expect(await start(how).ended).toMatchObject({ kind: "done" });
    },
  );

  test("says why it failed, and leaves the reason in its folder", async () => {
    const [unknown, diverged, task, setting] = await Promise.all([
      start("unknown", { selector: "dto" }).ended,
      start("diverged", { learningRate: 1e30 }).ended,
      start("task", { task: "recal" }).ended,
      start("setting", { settings: { pair: 3 } }).ended,
    ]);
    expect(unknown).toMatchObject({ kind: "failed", code: "unknown-part" });
    expect(diverged).toMatchObject({ kind: "failed", code: "diverged" });
    expect(JSON.parse(await readFile(join(place, "diverged", "FAILED"), "utf8"))).toMatchObject({
      code: "diverged",
    });
    expect(task).toMatchObject({ code: "unknown-task" });
    expect(setting).toMatchObject({ code: "unknown-setting" });
  });
});
