/** @file RWKV-4 to 7 learn to copy in their own blocks; the quick test has one of them. */
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../../kernels/jax/start.ts";
import { copiedByRwkv } from "./recurrence-fixtures.ts";

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
