import { describe, expect, test } from "vitest";
import { type AnnotatedTrainable, train, type TrainOptions } from "./loop.ts";
import { type Checkpoint, type RunStorage, type RunSummary, type StepRecord } from "./run-storage.ts";

const run = { task: "counting", selector: "dot", seed: 1, learningRate: 0.1, settings: {} };

/** A run whose state is a sum: the loss of a step depends on all steps before it. */
function counting(
  steps: number,
  change: Partial<AnnotatedTrainable> = {},
): AnnotatedTrainable & { restored: number } {
  let sum = 0;
  const trainable = {
    steps,
    restored: 0,
    step: (step: number) => {
      sum = sum * 0.5 + step;
      return Promise.resolve({ loss: sum, learningRate: 0.1, items: 3 });
    },
    validate: () => Promise.resolve({ loss: sum }),
    test: () => Promise.resolve({ loss: -sum }),
    snapshot: () => Promise.resolve({ model: {}, optimiser: {}, state: { sum } }),
    restore: ({ state }: { state: Readonly<Record<string, unknown>> }) => {
      sum = Number(state["sum"]);
      trainable.restored += 1;
      return Promise.resolve();
    },
    dispose: () => undefined,
    ...change,
  };
  return trainable;
}

interface Memory extends RunStorage {
  readonly records: StepRecord[];
  readonly events: string[];
}

function memory(): Memory {
  const records: StepRecord[] = [];
  const events: string[] = [];
  let checkpoint: Checkpoint | undefined;
  let summary: RunSummary | undefined;
  return {
    records,
    events,
    readCheckpoint: () => Promise.resolve(checkpoint),
    writeCheckpoint: (next) => {
      checkpoint = next;
      events.push(`checkpoint ${next.step}`);
      return Promise.resolve();
    },
    rewindMetrics: (step) => {
      records.splice(0, Infinity, ...records.filter((record) => record.step < step));
      return Promise.resolve(records);
    },
    appendMetrics: (record) => {
      records.push(record);
      return Promise.resolve();
    },
    readSummary: () => Promise.resolve(summary),
    finish: (finished) => {
      summary = finished;
      events.push("done");
      return Promise.resolve();
    },
    fail: (error) => {
      events.push(`failed ${(error as { code: string }).code}`);
      return Promise.resolve();
    },
    release: () => {
      events.push("released");
      return Promise.resolve();
    },
  };
}

/** Stops a run after a number of steps. */
function stopAfter(steps: number): Pick<TrainOptions, "signal" | "onProgress"> {
  const stop = new AbortController();
  return {
    signal: stop.signal,
    onProgress: ({ step }) => {
      if (step === steps) stop.abort();
    },
  };
}

const withoutTimes = (records: readonly StepRecord[]): object[] =>
  records.map((record) => ({ ...record, timeMs: 0 }));

describe("the training loop", () => {
  test("takes all steps, tells of each, and sums up", async () => {
    const folder = memory();
    const told: number[] = [];
    const outcome = await train(counting(5), {
      run,
      folder,
      checkpointEvery: 2,
      onProgress: ({ step, steps, loss, itemsPerSecond, timeLeftMs }) => {
        expect(steps).toBe(5);
        expect(loss).toBe(folder.records[step - 1].loss);
        expect(itemsPerSecond).toBeGreaterThan(0);
        expect(timeLeftMs).toBeGreaterThanOrEqual(0);
        told.push(step);
      },
      peakMemoryBytes: () => 77,
    });
    expect(told).toEqual([1, 2, 3, 4, 5]);
    expect(folder.events).toEqual(["checkpoint 2", "checkpoint 4", "checkpoint 5", "done"]);
    expect(outcome).toMatchObject({
      kind: "done",
      summary: { ...run, steps: 5, validation: { loss: 6.125 }, test: { loss: -6.125 }, peakMemoryBytes: 77 },
    });
  });

  test("stops at a signal after a checkpoint, and goes on with the same numbers", async () => {
    const whole = memory();
    const expected = await train(counting(9), { run, folder: whole });

    const folder = memory();
    const stopped = await train(counting(9), { run, folder, ...stopAfter(4) });
    expect(stopped).toEqual({ kind: "stopped", step: 4, reason: "signal" });
    expect(folder.events).toEqual(["checkpoint 4", "released"]);
    // As if the process had been killed one step later, before its next checkpoint.
    folder.records.push({ step: 4, loss: NaN, items: 3, timeMs: 1 });

    const resumed = await train(counting(9), { run, folder, resume: true });
    expect(withoutTimes(folder.records)).toEqual(withoutTimes(whole.records));
    expect(resumed).toMatchObject({
      summary: {
        validation: (expected as { summary: RunSummary }).summary.validation,
        test: (expected as { summary: RunSummary }).summary.test,
      },
    });
  });

  test("stops when its time is over, with a checkpoint", async () => {
    const folder = memory();
    const slow = counting(1000, {
      step: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return { loss: 1, items: 1 };
      },
    });
    const outcome = await train(slow, { run, folder, maxTimeMs: 1 });
    expect(outcome).toMatchObject({ kind: "stopped", reason: "time" });
    expect(folder.events.at(-1)).toBe("released");
  });

  test("does not run a finished run again", async () => {
    const folder = memory();
    const first = await train(counting(3), { run, folder });
    const never = counting(3, { step: () => Promise.reject(new Error("ran again")) });
    expect(await train(never, { run, folder, resume: true })).toEqual(first);
  });

  test("starts anew without resume, whatever checkpoint lies there", async () => {
    const folder = memory();
    await train(counting(9), { run, folder, ...stopAfter(4) });
    const again = counting(2);
    await train(again, { run, folder });
    expect(again.restored).toBe(0);
    expect(folder.records.map(({ step }) => step)).toEqual([0, 1]);
  });

  test.each([
    ["loss", { loss: NaN, items: 1 }],
    ["gradient", { loss: 1, gradientNorm: Infinity, items: 1 }],
  ])("fails when the %s stops being finite, after it wrote it down", async (_, report) => {
    const folder = memory();
    const wild = counting(3, { step: () => Promise.resolve(report) });
    await expect(train(wild, { run, folder })).rejects.toThrow("at step 0. Use a learning rate below 0.1");
    expect(folder.events).toEqual(["failed diverged"]);
    expect(folder.records).toHaveLength(1);
  });

  test("carries notes into the summary, and a step without loss tells none", async () => {
    const silent = counting(1, { step: () => Promise.resolve({ items: 2 }), notes: ["one thing"] });
    const progress: object[] = [];
    const outcome = await train(silent, { run, onProgress: (told) => progress.push(told) });
    expect(outcome).toMatchObject({ summary: { notes: ["one thing"] } });
    expect(progress[0]).not.toHaveProperty("loss");
  });
});
