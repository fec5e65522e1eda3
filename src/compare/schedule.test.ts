import { describe, expect, test } from "vitest";
import { samplePlan } from "../../test/sample-comparison.ts";
import { type RunSummary } from "../train/run-storage.ts";
import { type ChildEnd, type RunHandle, type StartRun } from "./child.node.ts";
import { type PlannedRun } from "./plan.ts";
import { runAll, type ScheduleEnd, type ScheduleEvent } from "./schedule.node.ts";

const { runs } = samplePlan({
  tasks: ["recall"],
  similarities: ["dot", "l2"],
  seeds: [0],
  learningRates: [0.1, 0.2, 0.3],
});

/** Starts runs that end when they are told to. */
function puppetRuns(): {
  readonly startRun: StartRun;
  readonly running: Map<string, (end: ChildEnd) => void>;
  readonly asked: string[];
  readonly most: () => number;
} {
  const running = new Map<string, (end: ChildEnd) => void>();
  const asked: string[] = [];
  let most = 0;
  return {
    running,
    asked,
    most: () => most,
    startRun: (_, folder): RunHandle => {
      const ended = new Promise<ChildEnd>((resolve) => {
        running.set(folder, (end) => {
          running.delete(folder);
          resolve(end);
        });
      });
      most = Math.max(most, running.size);
      return {
        ended,
        stop: () => asked.push(`stop ${folder}`),
        kill: () => asked.push(`kill ${folder}`),
      };
    },
  };
}

const done = (run: PlannedRun): ChildEnd => ({ kind: "done", summary: { ...run } as unknown as RunSummary });
const folderOf = ({ id }: PlannedRun): string => id;
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Ends every run as `end` says, in the order in which they start, until none is left. */
async function drive(
  puppets: ReturnType<typeof puppetRuns>,
  scheduled: Promise<ScheduleEnd>,
  end: (run: PlannedRun) => ChildEnd,
): Promise<ScheduleEnd> {
  const state: { isOver: boolean } = { isOver: false };
  const finished = scheduled.finally(() => {
    state.isOver = true;
  });
  while (!state.isOver) {
    const [next] = puppets.running;
    const run = runs.find(({ id }) => id === next?.[0]);
    if (run !== undefined) next[1](end(run));
    await pause();
  }
  return finished;
}

describe("the schedule", () => {
  test("runs everything, in order, with no more at a time than asked for", async () => {
    const puppets = puppetRuns();
    const events: ScheduleEvent[] = [];
    const scheduled = runAll(runs, {
      startRun: puppets.startRun,
      folderOf,
      jobs: 2,
      onEvent: (event) => events.push(event),
    });
    expect(await drive(puppets, scheduled, done)).toEqual({ reason: "all-ended" });
    expect(puppets.most()).toBe(2);
    const started = events.flatMap((event) => (event.kind === "run-started" ? [event.run.id] : []));
    expect(started).toEqual(runs.map(({ id }) => id));
    expect(events.filter(({ kind }) => kind === "run-finished")).toHaveLength(runs.length);
    expect(events.at(-1)).toMatchObject({
      kind: "progress",
      ended: runs.length,
      planned: runs.length,
      timeLeftMs: 0,
    });
  });

  test("goes on after failures, and tells divergence from accidents", async () => {
    const puppets = puppetRuns();
    const events: ScheduleEvent[] = [];
    const scheduled = runAll(runs, {
      startRun: puppets.startRun,
      folderOf,
      jobs: 1,
      onEvent: (event) => events.push(event),
    });
    const end = (run: PlannedRun): ChildEnd => {
      if (run.selector === "l2") return done(run);
      return { kind: "failed", code: run.learningRate === 0.3 ? "diverged" : "run-crashed", message: "no" };
    };
    expect(await drive(puppets, scheduled, end)).toEqual({ reason: "all-ended" });
    const diverged = events.flatMap((event) => (event.kind === "run-failed" ? [event.diverged] : []));
    expect(diverged.filter(Boolean)).toHaveLength(1);
    expect(diverged).toHaveLength(3);
    expect(events.filter(({ kind }) => kind === "run-finished")).toHaveLength(3);
  });

  test("asks the running ones to stop at the first abort, kills them at the second, and starts no other", async () => {
    const puppets = puppetRuns();
    const [stop, kill] = [new AbortController(), new AbortController()];
    const events: ScheduleEvent[] = [];
    const scheduled = runAll(runs, {
      startRun: puppets.startRun,
      folderOf,
      jobs: 2,
      stop: stop.signal,
      kill: kill.signal,
      onEvent: (event) => events.push(event),
    });
    await pause();
    const [first, second] = [...puppets.running.keys()];
    stop.abort();
    expect(puppets.asked).toEqual([`stop ${first}`, `stop ${second}`]);
    puppets.running.get(first)?.({ kind: "stopped" });
    await pause();
    kill.abort();
    expect(puppets.asked.slice(2)).toEqual([`kill ${second}`]);
    puppets.running.get(second)?.({ kind: "failed", code: "run-crashed", message: "killed" });
    expect(await scheduled).toEqual({ reason: "stopped" });
    expect(events.map(({ kind }) => kind)).toEqual([
      "run-started",
      "run-started",
      "run-stopped",
      "run-stopped",
    ]);
  });

  test("starts nothing when it is stopped before it begins", async () => {
    const puppets = puppetRuns();
    const scheduled = runAll(runs, {
      startRun: puppets.startRun,
      folderOf,
      jobs: 2,
      stop: AbortSignal.abort(),
      onEvent: () => undefined,
    });
    expect(await scheduled).toEqual({ reason: "stopped" });
    expect(puppets.most()).toBe(0);
  });

  test("stops when its time is over", async () => {
    const puppets = puppetRuns();
    const scheduled = runAll(runs, {
      startRun: puppets.startRun,
      folderOf,
      jobs: 1,
      maxTimeMs: 1,
      onEvent: () => undefined,
    });
    while (puppets.asked.length === 0) await pause();
    puppets.running.get(runs[0].id)?.({ kind: "stopped" });
    expect(await scheduled).toEqual({ reason: "out-of-time" });
  });

  test("stops when a run cannot be saved, and leaves that run for a resume", async () => {
    const puppets = puppetRuns();
    const events: ScheduleEvent[] = [];
    const scheduled = runAll(runs, {
      startRun: puppets.startRun,
      folderOf,
      jobs: 1,
      onEvent: (event) => events.push(event),
    });
    const end = (): ChildEnd => ({ kind: "failed", code: "file-write", message: "no space" });
    expect(await drive(puppets, scheduled, end)).toMatchObject({
      reason: "cannot-save",
      failure: { message: "no space" },
    });
    expect(events.map(({ kind }) => kind)).toEqual(["run-started", "run-stopped"]);
  });
});
