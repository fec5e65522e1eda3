import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sampleRecipes } from "../../test/sample-comparison.ts";
import { MissingError } from "../base/errors.ts";
import { forkRuns, type StartRun } from "./child.node.ts";
import {
  compare,
  type CompareEvent,
  type Comparison,
  latestComparison,
  readComparison,
  resumeComparison,
} from "./compare.node.ts";
import { type ComparisonRequest, type RecipeFacts } from "./plan.ts";
import { type ComparisonResults } from "./results.ts";

const startRun = forkRuns(fileURLToPath(new URL("../../test/doubles/run-process.mjs", import.meta.url)));

/** The double measures a score for every task. */
const recipes = (task: string): RecipeFacts => ({
  ...sampleRecipes(task),
  metric: { name: "score", unit: "score", better: "higher" },
});

function request(...similarities: readonly string[]): ComparisonRequest {
  return {
    tasks: ["recall"],
    similarities,
    seeds: [0, 1],
    learningRates: [0.1],
    settings: { recall: { steps: 20 } },
  };
}

let out = "";
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), "qklab-compare-"));
});
afterAll(async () => {
  await rm(out, { recursive: true, force: true });
});

const scores = ({ cells }: ComparisonResults): unknown =>
  cells.map(({ selector, status, metric }) => [selector, status, metric?.values]);

describe("a comparison", () => {
  test("runs every run in its own folder, and leaves a report and no lock", async () => {
    const events: CompareEvent[] = [];
    const comparison = await compare(request("dot", "l2"), {
      recipes,
      startRun,
      out,
      name: "first one",
      jobs: 2,
      onEvent: (event) => events.push(event),
    });
    const { folder, outcome, counts, reportHtml, reportJson } = comparison;
    expect(folder).toMatch(/\/\d{4}-\d\d-\d\d-first-one-[0-9a-f]{6}$/);
    expect({ outcome, counts }).toEqual({
      outcome: "done",
      counts: { finished: 4, diverged: 0, failed: 0, left: 0 },
    });
    expect((await readdir(folder)).sort()).toEqual(["comparison.json", "report.html", "report.json", "runs"]);
    expect(await readdir(join(folder, "runs"))).toHaveLength(4);
    expect(await readFile(reportHtml, "utf8")).toContain("<!doctype html>");
    expect(JSON.parse(await readFile(reportJson, "utf8"))).toMatchObject({
      schema: "qklab-comparison-report",
      version: 1,
    });
    expect(events[0]).toMatchObject({ kind: "planned", reused: 0, jobs: 2 });
    expect(events.at(-1)).toEqual({ kind: "reporting" });
    expect(events.some(({ kind }) => kind === "run-progress")).toBe(true);
    expect(scores(await readComparison(folder))).toEqual(scores(comparison.results));
    expect(await latestComparison(out)).toBe(folder);
  });

  test("loses no other cell to one that crashes, is killed or diverges", async () => {
    const { results, outcome, counts, folder } = await compare(request("dot", "l1", "tropical", "complex"), {
      recipes,
      startRun,
      out,
      jobs: 2,
    });
    expect(outcome).toBe("partly-failed");
    expect(counts).toEqual({ finished: 2, diverged: 2, failed: 4, left: 0 });
    expect(results.cells.map(({ selector, status }) => `${selector} ${status}`)).toEqual([
      "dot measured",
      "l1 failed",
      "tropical failed",
      "complex failed",
    ]);
    const [, crashed, killed] = results.cells.map(({ failures }) => failures[0]?.message);
    expect(crashed).toContain('it ended with code 3 after "FATAL ERROR: out of everything"');
    expect(killed).toContain("it was ended by SIGKILL");
    const failed = results.runs.filter(({ selector }) => selector === "l1");
    for (const run of failed) expect(existsSync(join(folder, "runs", run.folder, "FAILED"))).toBe(true);
  });
});

test("a run that fails before it has a folder is reported with its reason", async () => {
  const refusing: StartRun = () => ({
    ended: Promise.resolve({
      kind: "failed",
      code: "clash-position",
      message: "Cannot use 'rope' with 'l1'",
    }),
    stop: () => undefined,
    kill: () => undefined,
  });
  const { outcome, counts, results } = await compare(request("dot"), {
    recipes,
    startRun: refusing,
    out,
    jobs: 1,
  });
  expect({ outcome, counts }).toEqual({
    outcome: "partly-failed",
    counts: { finished: 0, diverged: 0, failed: 2, left: 0 },
  });
  expect(results.cells[0].failures).toMatchObject([{ message: "Cannot use 'rope' with 'l1'", runs: 2 }]);
});

describe("a comparison that was stopped", () => {
  /** Stops at the first progress of `rbf`, which waits for it. */
  async function stopped(): Promise<Comparison> {
    const stop = new AbortController();
    return compare(request("rbf", "dot", "l2"), {
      recipes,
      startRun,
      out,
      jobs: 1,
      stop: stop.signal,
      onEvent: (event) => {
        if (event.kind === "run-progress" && event.run.selector === "rbf" && event.progress.step === 7)
          stop.abort();
      },
    });
  }

  test("goes on with the same numbers, and repeats nothing that is finished", async () => {
    const before = await stopped();
    expect(before.outcome).toBe("interrupted");
    expect(before.counts.left).toBeGreaterThan(0);
    expect(existsSync(before.reportHtml)).toBe(true);
    expect(existsSync(join(before.folder, "RUNNING.lock"))).toBe(false);

    const started: string[] = [];
    const after = await resumeComparison(before.folder, {
      startRun,
      jobs: 2,
      onEvent: (event) => {
        if (event.kind === "run-started") started.push(event.run.id);
      },
    });
    expect(after.outcome).toBe("done");
    const left = before.results.runs.filter(({ status }) => status === "left").map(({ id }) => id);
    expect([...started].sort()).toEqual(left.sort());

    // The double's numbers depend on the seed alone, so the run that was cut in two must equal the whole ones.
    const measured = after.results.cells.map(({ metric }) => metric?.values);
    expect(measured).toEqual([measured[1], measured[1], measured[1]]);
    expect(new Set(measured[1]).size).toBe(2);
  });

  test("tries failed runs again, but not diverged ones", async () => {
    const { folder } = await compare(request("l1", "complex"), { recipes, startRun, out, jobs: 2 });
    const selectors: string[] = [];
    const again = await resumeComparison(folder, {
      // What made them crash is mended.
      startRun: (run, path, onProgress) => {
        selectors.push(run.selector);
        return startRun({ ...run, selector: "dot" }, path, onProgress);
      },
    });
    expect(selectors).toEqual(["l1", "l1"]);
    expect(again.results.cells.map(({ status }) => status)).toEqual(["measured", "failed"]);
  });

  test("runs once at a time: a lock of a living process is respected, one of a dead process is not", async () => {
    const { folder } = await compare(request("dot"), { recipes, startRun, out, jobs: 1 });
    const lock = join(folder, "RUNNING.lock");
    await writeFile(lock, JSON.stringify({ pid: process.pid, host: "another machine" }));
    await expect(resumeComparison(folder, { startRun })).rejects.toThrow("one process at a time");
    const neverUsed = 2 ** 22 + 1;
    const { hostname } = await import("node:os");
    await writeFile(lock, JSON.stringify({ pid: neverUsed, host: hostname() }));
    expect((await resumeComparison(folder, { startRun })).outcome).toBe("done");
  });

  test("measures a run again whose summary was damaged", async () => {
    const { folder, results } = await compare(request("dot"), { recipes, startRun, out, jobs: 1 });
    await writeFile(join(folder, "runs", results.runs[0].folder, "summary.json"), '{"steps": 2');
    expect((await readComparison(folder)).runs.map(({ status }) => status)).toEqual(["left", "finished"]);
    const again = await resumeComparison(folder, { startRun });
    expect(scores(again.results)).toEqual(scores(results));
  });
});

describe("bad ground", () => {
  test("a folder that cannot be made is one clear error", async () => {
    const file = join(out, "a-file");
    await writeFile(file, "");
    await expect(compare(request("dot"), { recipes, startRun, out: file })).rejects.toThrow(
      /^Cannot make .* as the file system/,
    );
  });

  test("a full disk stops the comparison with the way to go on", async () => {
    const full: StartRun = () => ({
      ended: Promise.resolve({
        kind: "failed",
        code: "file-write",
        message: "ENOSPC: no space left on device",
      }),
      stop: () => undefined,
      kill: () => undefined,
    });
    const failure = compare(request("dot"), { recipes, startRun: full, out, name: "full", jobs: 1 });
    await expect(failure).rejects.toThrow(/^Cannot go on .* no space left .* --resume/);
    const folder = join(out, (await readdir(out)).find((name) => name.includes("-full-")) ?? "");
    expect((await resumeComparison(folder, { startRun })).outcome).toBe("done");
  });

  test.each([
    ["nothing", undefined, "there is none"],
    ["no JSON", "{", "must be a plan of this version"],
    ["another version", '{"version": 2}', "version"],
  ])("a comparison.json with %s is refused", async (_, text, words) => {
    const folder = await mkdtemp(join(out, "bad-"));
    if (text !== undefined) await writeFile(join(folder, "comparison.json"), text);
    const refusal = resumeComparison(folder, { startRun });
    await expect(refusal).rejects.toBeInstanceOf(MissingError);
    await expect(refusal).rejects.toThrow(words);
  });

  test("a plan whose run folders lead elsewhere is refused", async () => {
    const { folder } = await compare(request("dot"), { recipes, startRun, out, jobs: 1 });
    const path = join(folder, "comparison.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace(/"folder": "[^"]*"/, '"folder": "../../elsewhere"'));
    await expect(resumeComparison(folder, { startRun })).rejects.toThrow("folder");
  });

  test("there is no latest comparison where there is none", async () => {
    await expect(latestComparison(join(out, "nowhere"))).rejects.toThrow("there is none");
  });

  test("a number of jobs that is no count is refused", async () => {
    await expect(compare(request("dot"), { recipes, startRun, out, jobs: 0 })).rejects.toThrow(
      "whole number ≥ 1: 0",
    );
  });
});
