/** @file RWKV-4 to 7 learn to copy in their own blocks; the quick test has one of them. */
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../../kernels/jax/start.ts";
import { copiedByRwkv, createRun } from "./recurrence-fixtures.ts";

beforeAll(() => startJax());

test.each([
  // A weighted mean of channels finds a place by its decays alone, and takes longer.
  ["rwkv4", 300],
  ["rwkv5", 60],
  ["rwkv6", 60],
  ["rwkv7", 60],
])("%s learns to copy in %i steps", async (rule, steps) => {
  const { before, after } = await copiedByRwkv(rule, steps);
  expect(before["accuracy"]).toBeLessThan(0.5);
  expect(after["accuracy"]).toBeGreaterThan(0.9);
});

test.each<[string, Record<string, unknown>]>([
  ["recall-tokens", { vocabulary: 16, length: 16, pairs: 2, testBatches: 1 }],
  ["induction", { vocabulary: 5, length: 8, factors: [1, 2], testSequences: 2 }],
  ["facts", { facts: 8, letters: 4, nameLength: 3, answers: 4 }],
  ["language", { length: 16, testWindows: 2 }],
  ["extrapolation", { length: 8, factors: [1, 2], blocks: 1 }],
])("%s trains an RWKV, whose state does not grow", async (task, settings) => {
  const sizes = { block: "rwkv", width: 8, layers: 1, heads: 2, steps: 2, batch: 2, warmUp: 1 };
  const run = await createRun(task, "rwkv7", { ...sizes, ...settings });
  for (let step = 0; step < run.steps; step++) {
    expect(Number.isFinite((await run.step(step)).loss)).toBe(true);
  }
  const { stateBytes } = await run.test();
  run.dispose();
  expect(stateBytes).toBe(4 * (2 * 4 * 4 + 2 * 8));
});
