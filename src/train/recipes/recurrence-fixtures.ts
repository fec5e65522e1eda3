/** @file Runs of recurrences for tests: a task with a rule on the kernels, and what its recall must reach. */
import { MissingError } from "../../base/errors.ts";
import { WasmEngine } from "../../kernels/wasm/index.ts";
import { type AnnotatedTrainable } from "../loop.ts";
import { type DataSource } from "../trainable.ts";
import { recipeOf } from "./index.ts";

const data: DataSource = {
  text: () => Promise.resolve("the cat sat on the mat. ".repeat(60)),
  nouns: () => Promise.reject(new MissingError("no-data", "no task here needs nouns")),
};

/** A run of a task with a rule. */
export async function createRun(
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
export const guessed: number = 1 / 8 + (5 * Math.sqrt((1 / 8) * (7 / 8))) / Math.sqrt(192);

/** What a rule that was trained on recall measures. */
export async function recallMetrics(selector: string, steps: number): Promise<Record<string, unknown>> {
  const run = await createRun("recall", selector, { ...probe, steps });
  for (let step = 0; step < steps; step++) await run.step(step);
  const metrics = await run.test();
  run.dispose();
  return metrics;
}

/** A copy of a few symbols by RWKV's own blocks. */
export const rwkvSettings: Readonly<Record<string, unknown>> = {
  block: "rwkv",
  vocabulary: 5,
  length: 6,
  width: 16,
  layers: 2,
  heads: 2,
  batch: 16,
  warmUp: 5,
  testBatches: 8,
};

/** What a rule measures in its own blocks before and after training. */
export async function copiedByRwkv(
  rule: string,
  steps = 30,
): Promise<{
  readonly before: Record<string, unknown>;
  readonly after: Record<string, unknown>;
  readonly notes: readonly string[] | undefined;
}> {
  const run = await createRun("copy", rule, { ...rwkvSettings, steps }, 0.02);
  const before = await run.test();
  for (let step = 0; step < steps; step++) await run.step(step);
  const after = await run.test();
  run.dispose();
  return { before, after, notes: run.notes };
}
