import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { train } from "./loop.ts";
import { languageRecipe } from "./recipes/language.ts";
import { recallRecipe } from "./recipes/recall.ts";
import { openRunFolder } from "./run-folder.node.ts";
import { type RunIdentity, type RunSummary } from "./run-storage.ts";
import { type DataSource, type Snapshot, type StepReport, type Trainable } from "./trainable.ts";

/** The same sentences in another order each time, so that there is something to learn and something to predict. */
const text = Array.from(
  { length: 400 },
  (_, line) => `the ${line % 7} of ${(line * line) % 11} is ${(line * 3) % 5}\n`,
).join("");

const data: DataSource = {
  text: () => Promise.resolve(text),
  nouns: () => Promise.reject(new Error("no task here needs nouns")),
};

let place: string;

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "qklab-resume-"));
});

afterAll(() => rm(place, { recursive: true }));

interface Case {
  readonly run: RunIdentity;
  readonly create: () => Promise<Trainable>;
}

const recall = (): Case => {
  const settings = recallRecipe.settings({
    pairs: 4,
    batch: 8,
    steps: 20,
    classes: 8,
    valueWidth: 4,
    keyWidth: 4,
    headWidth: 4,
  });
  const request = { selector: "l2", seed: 5, learningRate: 0.03, settings, data };
  return {
    run: { task: "recall", ...request, settings: { ...settings } },
    create: () => recallRecipe.create(request),
  };
};

const language = (): Case => {
  const settings = languageRecipe.settings({
    width: 16,
    heads: 2,
    batch: 4,
    length: 16,
    steps: 20,
    testWindows: 4,
  });
  const request = { selector: "cosine", seed: 5, learningRate: 0.01, settings, data };
  return {
    run: { task: "language", ...request, settings: { ...settings } },
    create: () => languageRecipe.create(request),
  };
};

async function steps(trainable: Trainable, from: number, to: number): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  for (let step = from; step < to; step++) reports.push(await trainable.step(step));
  return reports;
}

function numbersOf({ model, optimiser, state }: Snapshot): object {
  const plain = (tensors: Snapshot["model"]): object =>
    Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, [...data]]));
  return { model: plain(model), optimiser: plain(optimiser), state };
}

describe.each([
  ["recall", recall],
  ["language", language],
])("%s", (_, makeCase) => {
  test("20 steps are 10 steps, a checkpoint on disk, and 10 steps of a new run, to the bit", async () => {
    const { run, create } = makeCase();
    const whole = await create();
    const expectedReports = await steps(whole, 0, 20);
    const expected = numbersOf(await whole.snapshot());
    const expectedMetrics = [await whole.validate(), await whole.test()];
    whole.dispose();

    const folderPath = join(place, run.task);
    const first = await openRunFolder(folderPath, { run });
    const half = await create();
    const reports = await steps(half, 0, 10);
    await first.writeCheckpoint({ step: 10, snapshot: await half.snapshot() });
    half.dispose();
    await first.release();

    const second = await openRunFolder(folderPath, { run, resume: true });
    const checkpoint = await second.readCheckpoint();
    const other = await create();
    await other.restore(checkpoint!.snapshot);
    reports.push(...(await steps(other, 10, 20)));
    expect(reports).toEqual(expectedReports);
    expect(numbersOf(await other.snapshot())).toEqual(expected);
    expect([await other.validate(), await other.test()]).toEqual(expectedMetrics);
    other.dispose();
    await second.release();
    expect(reports[19].loss).toBeLessThan(reports[0].loss!);
  });
});

test("a run that is stopped again and again ends with the numbers of one that is not", async () => {
  const { run, create } = recall();
  const runOnce = async (
    name: string,
    stopAfter: number,
    resume: boolean,
  ): Promise<RunSummary | undefined> => {
    const folder = await openRunFolder(join(place, name), { run, resume });
    const trainable = await create();
    const stop = new AbortController();
    let taken = 0;
    const onProgress = (): void => {
      taken += 1;
      if (taken === stopAfter) stop.abort();
    };
    const outcome = await train(trainable, { run, folder, resume, signal: stop.signal, onProgress });
    trainable.dispose();
    return outcome.kind === "done" ? outcome.summary : undefined;
  };
  const expected = await runOnce("whole", Infinity, false);
  let summary = await runOnce("stopped", 7, false);
  for (let turn = 0; turn < 3 && summary === undefined; turn++) summary = await runOnce("stopped", 7, true);
  expect(summary?.validation).toEqual(expected?.validation);
  expect(summary?.test).toEqual(expected?.test);
});
