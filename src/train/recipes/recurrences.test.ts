/** @file Recurrences in the tasks: each rule learns more than a guess, with the state of its rule counted and no scores measured. */
import { beforeAll, expect, test } from "vitest";
import { MissingError } from "../../base/errors.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { WasmEngine } from "../../kernels/wasm/index.ts";
import { type AnnotatedTrainable } from "../loop.ts";
import { type DataSource } from "../trainable.ts";
import { recipeOf } from "./index.ts";

const data: DataSource = {
  text: () => Promise.resolve("the cat sat on the mat. ".repeat(60)),
  nouns: () => Promise.reject(new MissingError("no-data", "no task here needs nouns")),
};

beforeAll(() => startJax());

async function create(
  task: string,
  selector: string,
  settings: Record<string, unknown>,
  learningRate = 0.05,
): Promise<AnnotatedTrainable> {
  const recipe = recipeOf(task);
  const chosen = recipe.settings(settings);
  return recipe.create({ selector, seed: 1, learningRate, settings: chosen, data, engine: new WasmEngine() });
}

const probe = {
  pairs: 2,
  batch: 24,
  steps: 100,
  classes: 8,
  valueWidth: 8,
  keyWidth: 8,
  headWidth: 8,
  testBatches: 4,
  warmUp: 2,
};

/** What a guess gets right at most: five standard deviations above 1/8 of 192 labels. */
const guessed = 1 / 8 + (5 * Math.sqrt((1 / 8) * (7 / 8))) / Math.sqrt(192);

test.each([
  ["linear", 8 * 9, 50],
  ["linear:map=hedgehog", 16 * 9, 50],
  ["performer:features=12", 12 * 10, 50],
  ["retnet", 8 * 8, 80],
  ["gla", 8 * 8, 100],
  ["rwkv4", 8 * 3, 80],
  ["rwkv5", 8 * 8, 60],
  ["rwkv6", 8 * 8, 60],
  // A query takes back part of what its key holds before it reads, which these must unlearn first.
  ["deltanet", 8 * 8, 120],
  ["gated-deltanet", 8 * 8, 120],
  ["rwkv7", 8 * 8, 220],
])("%s learns recall and keeps %i numbers", async (selector, numbers, steps) => {
  const run = await create("recall", selector, { ...probe, steps });
  for (let step = 0; step < steps; step++) await run.step(step);
  const metrics = await run.test();
  run.dispose();
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
  const run = await create(task, "gated-deltanet", { ...model, ...settings });
  for (let step = 0; step < run.steps; step++) {
    expect(Number.isFinite((await run.step(step)).loss)).toBe(true);
  }
  const { stateBytes } = await run.test();
  run.dispose();
  expect(stateBytes).toBe(4 * 2 * 4 * 4);
});
