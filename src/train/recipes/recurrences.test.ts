/** @file Recurrences in the tasks: they learn, with the state of their rule counted and no scores measured. */
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../../kernels/jax/start.ts";
import { createRun, guessed, recallMetrics } from "./recurrence-fixtures.ts";

beforeAll(() => startJax());

// One rule without a decay, one with decays, one that corrects; the long test has all.
test.each([
  ["linear", 8 * 9, 50],
  ["gla", 8 * 8, 100],
  ["gated-deltanet", 8 * 8, 120],
])("%s learns recall and keeps %i numbers", async (selector, numbers, steps) => {
  const metrics = await recallMetrics(selector, steps);
  expect(metrics["accuracy"]).toBeGreaterThan(guessed);
  expect(Object.keys(metrics).sort()).toEqual(["accuracy", "loss", "parameters", "stateBytes"]);
  expect(metrics["stateBytes"]).toBe(4 * numbers);
});

const model = { width: 8, layers: 1, heads: 2, steps: 2, batch: 2, warmUp: 1 };

test.each<[string, Record<string, unknown>]>([
  ["recall-tokens", { vocabulary: 16, length: 16, pairs: 2, testBatches: 1 }],
  ["copy", { vocabulary: 5, length: 10, testBatches: 1 }],
  ["selective-copy", { vocabulary: 6, noise: 6, symbols: 2, testBatches: 1 }],
  ["induction", { vocabulary: 5, length: 8, factors: [1, 2], testSequences: 2 }],
  ["associative-recall", { vocabulary: 9, length: 10, testBatches: 1 }],
  ["facts", { facts: 8, letters: 4, nameLength: 3, answers: 4 }],
  ["listops", { minimumLength: 5, maximumLength: 12, depth: 2, arguments: 3, testBatches: 1 }],
  ["language", { length: 16, testWindows: 2 }],
  ["extrapolation", { length: 8, factors: [1, 2], blocks: 1 }],
])("%s trains a recurrence, whose state does not grow", async (task, settings) => {
  const run = await createRun(task, "gated-deltanet", { ...model, ...settings });
  for (let step = 0; step < run.steps; step++) {
    expect(Number.isFinite((await run.step(step)).loss)).toBe(true);
  }
  const { stateBytes } = await run.test();
  run.dispose();
  expect(stateBytes).toBe(4 * 2 * 4 * 4);
});
