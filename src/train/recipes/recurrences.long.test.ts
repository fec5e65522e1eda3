/** @file Every rule of the recurrent class learns recall; `recurrences.test.ts` has three of them. */
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../../kernels/jax/start.ts";
import { guessed, recallMetrics } from "./recurrence-fixtures.ts";

beforeAll(() => startJax());

test.each([
  ["linear:map=hedgehog", 16 * 9, 50],
  ["performer:features=12", 12 * 10, 50],
  ["retnet", 8 * 8, 80],
  ["rwkv4", 8 * 3, 80],
  ["rwkv5", 8 * 8, 60],
  ["rwkv6", 8 * 8, 60],
  // A query takes back part of what its key holds before it reads, which these must unlearn first.
  ["deltanet", 8 * 8, 120],
  ["rwkv7", 8 * 8, 220],
])("%s learns recall and keeps %i numbers", async (selector, numbers, steps) => {
  const metrics = await recallMetrics(selector, steps);
  expect(metrics["accuracy"]).toBeGreaterThan(guessed);
  expect(Object.keys(metrics).sort()).toEqual(["accuracy", "loss", "parameters", "stateBytes"]);
  expect(metrics["stateBytes"]).toBe(4 * numbers);
});
