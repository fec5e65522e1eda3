import { spawnSync } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tensor, tensor64 } from "../base/tensor.ts";
import { openRunFolder, runFolderName } from "./run-folder.node.ts";
import { type RunSummary } from "./run-storage.ts";

const run = {
  task: "language",
  selector: "dot+rope",
  seed: 3,
  learningRate: 0.01,
  settings: { steps: 5, text: "alice" },
};
const snapshot = {
  model: { w: tensor([1, 2, 3, 4], [2, 2]), table: tensor64([0.1, 0.2], [2]) },
  optimiser: { "w.m": tensor([0, 0, 0, 1], [2, 2]) },
  state: { stepsTaken: 4, words: "x", list: [1, 2] },
};
const summary = {
  ...run,
  steps: 5,
  validation: { loss: 1 },
  test: { loss: Infinity },
  stepMs: 2,
  trainMs: 10,
} as RunSummary;

let place: string;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), "qklab-run-"));
});

afterEach(() => rm(place, { recursive: true }));

const read = (name: string): Promise<string> => readFile(join(place, "run", name), "utf8");
const names = async (): Promise<string[]> => (await readdir(join(place, "run"))).sort();
const open = (resume = false): ReturnType<typeof openRunFolder> =>
  openRunFolder(join(place, "run"), { run, resume });

describe("a run folder", () => {
  test("has a name of date, name and hash of the configuration", () => {
    const date = new Date("2026-02-03T10:00:00Z");
    const name = runFolderName(date, "dot + rope", run);
    expect(name).toMatch(/^2026-02-03-dot-rope-[0-9a-f]{6}$/);
    expect(runFolderName(date, "dot + rope", { ...run, seed: 4 })).not.toBe(name);
  });

  test("holds the files of the interface, one mark at a time", async () => {
    const folder = await openRunFolder(join(place, "run"), { run, environment: { node: "v20" } });
    expect(await names()).toEqual(["RUNNING.lock", "config.json", "env.json"]);
    expect(JSON.parse(await read("config.json"))).toEqual(run);
    expect(JSON.parse(await read("env.json"))).toEqual({ node: "v20" });
    expect(JSON.parse(await read("RUNNING.lock"))).toMatchObject({ pid: process.pid });
    await folder.rewindMetrics(0);
    await folder.appendMetrics({ step: 0, loss: NaN, learningRate: 0.1, items: 2, timeMs: 1.5 });
    expect(await read("metrics.jsonl")).toBe(
      '{"step":0,"loss":"NaN","learningRate":0.1,"items":2,"timeMs":1.5}\n',
    );
    await folder.writeCheckpoint({ step: 4, snapshot });
    expect((await readdir(join(place, "run", "checkpoint-4"))).sort()).toEqual([
      "model.safetensors",
      "optimizer.safetensors",
      "trainer.json",
    ]);
    expect(JSON.parse(await read("checkpoint-4/trainer.json"))).toMatchObject({
      step: 4,
      random: { seed: 3 },
    });
    await folder.finish(summary);
    expect(await names()).toEqual([
      "DONE",
      "checkpoint-4",
      "config.json",
      "env.json",
      "metrics.jsonl",
      "summary.json",
    ]);
    expect(JSON.parse(await read("summary.json"))).toMatchObject({ test: { loss: "Infinity" } });
  });

  test("gives a checkpoint back, the last one, bit for bit", async () => {
    const folder = await open();
    expect(await folder.readCheckpoint()).toBeUndefined();
    await folder.writeCheckpoint({ step: 9, snapshot: { ...snapshot, state: {} } });
    await folder.writeCheckpoint({ step: 10, snapshot });
    expect(await names()).not.toContain("checkpoint-9");
    const found = await folder.readCheckpoint();
    expect(found?.step).toBe(10);
    expect(found?.snapshot.state).toEqual(snapshot.state);
    expect(found?.snapshot.model["w"].data).toEqual(snapshot.model.w.data);
    expect(found?.snapshot.model["table"].data).toEqual(snapshot.model.table.data);
    expect(found?.snapshot.optimiser["w.m"].shape).toEqual([2, 2]);
    await folder.release();
  });

  test("rewinds metrics to a step and drops a torn last line", async () => {
    const folder = await open();
    for (const step of [0, 1, 2, 3])
      await folder.appendMetrics({ step, loss: -Infinity, items: 1, timeMs: 1 });
    await appendFile(join(place, "run", "metrics.jsonl"), '{"step":4,"lo');
    const kept = await folder.rewindMetrics(3);
    expect(kept.map(({ step, loss }) => [step, loss])).toEqual([0, 1, 2].map((step) => [step, -Infinity]));
    expect((await read("metrics.jsonl")).split("\n")).toHaveLength(4);
    await folder.release();
  });

  test("is not started twice, but resumed with the same configuration", async () => {
    await (await open()).release();
    await expect(open()).rejects.toThrow("must not hold one: it has a config.json");
    const other = { ...run, learningRate: 0.02 };
    await expect(openRunFolder(join(place, "run"), { run: other, resume: true })).rejects.toThrow(
      "'learningRate' is 0.01",
    );
    await (await open(true)).finish(summary);
    const done = await open(true);
    expect(await done.readSummary()).toMatchObject({ steps: 5, test: { loss: Infinity } });
    await done.release();
  });

  test("a failed run says why, and loses the mark when it is tried again", async () => {
    const folder = await open();
    await folder.fail(Object.assign(new Error("no luck"), { code: "diverged" }));
    expect(JSON.parse(await read("FAILED"))).toEqual({ code: "diverged", message: "no luck" });
    expect(await names()).not.toContain("RUNNING.lock");
    const again = await open(true);
    expect(await names()).not.toContain("FAILED");
    await again.release();
  });

  test("removes what a killed process left half-written", async () => {
    await (await open()).release();
    await mkdir(join(place, "run", ".checkpoint-7.tmp"));
    await writeFile(join(place, "run", ".qklab-99-0.tmp"), "half");
    const folder = await open(true);
    expect((await names()).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(await folder.readCheckpoint()).toBeUndefined();
    await folder.release();
  });

  test("is one process's: a living holder keeps it, a dead one does not", async () => {
    const folder = await open();
    await expect(open(true)).rejects.toThrow(`process ${process.pid} on ${hostname()} does`);
    await folder.release();
    const lock = join(place, "run", "RUNNING.lock");
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    await writeFile(lock, JSON.stringify({ pid, host: hostname() }));
    await (await open(true)).release();
    // A later process has the number of the killed one.
    await writeFile(lock, JSON.stringify({ pid: process.pid, host: hostname(), started: "1" }));
    await (await open(true)).release();
    await writeFile(lock, JSON.stringify({ pid: 1, host: "elsewhere" }));
    await expect(open(true)).rejects.toThrow("delete the lock if that process is no run");
  });

  test("says which file it cannot read", async () => {
    await (await open()).release();
    await writeFile(join(place, "run", "config.json"), "{");
    await expect(open(true)).rejects.toThrow(/config\.json as it must hold JSON/);
  });
});
