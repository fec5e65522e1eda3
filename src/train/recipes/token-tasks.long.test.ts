import { expect, test } from "vitest";
import { MissingError } from "../../base/errors.ts";
import { type DataSource, type Metrics } from "../trainable.ts";
import { recipeOf } from "./index.ts";

const data: DataSource = {
  text: () => Promise.reject(new MissingError("no-data", "tasks in tokens need no text")),
  nouns: () => Promise.reject(new MissingError("no-data", "tasks in tokens need no nouns")),
};

/** The share of right answers that counts as solved. */
const solved = 0.95;

async function measure(
  task: string,
  selector: string,
  learningRate: number,
  settings: Record<string, unknown>,
): Promise<Metrics> {
  const recipe = recipeOf(task);
  const run = await recipe.create({
    selector,
    seed: 0,
    learningRate,
    settings: recipe.settings(settings),
    data,
  });
  for (let step = 0; step < run.steps; step++) await run.step(step);
  const metrics = await run.test();
  run.dispose();
  return metrics;
}

test("softmax repeats a word with keys narrower than it is long, and a sum of products of that width does not", async () => {
  const settings = { length: 32, width: 32, heads: 2, headWidth: 4, steps: 300 };
  const [softmax, sum] = [
    await measure("copy", "dot", 0.01, settings),
    await measure("copy", "dot+none", 0.01, settings),
  ];
  expect(softmax["accuracy"]).toBeGreaterThan(solved);
  expect(sum["accuracy"]).toBeLessThan(solved);
  expect(sum["stateBytes"]).toBeLessThan(softmax["stateBytes"]);
});

test("two layers learn induction and carry it to 16 times the trained length", async () => {
  const metrics = await measure("induction", "dot", 0.003, { width: 32, steps: 800 });
  expect(metrics["accuracy"]).toBeGreaterThan(solved);
  expect(metrics["accuracyAt480"]).toBeGreaterThan(solved);
});

test("one question about pairs is answered", async () => {
  const settings = { width: 32, vocabulary: 10, length: 20, steps: 600 };
  expect((await measure("associative-recall", "dot", 0.003, settings))["accuracy"]).toBeGreaterThan(solved);
});

test("flat operations are learned sooner than nested ones, and all better than by the commonest answer", async () => {
  const settings = { width: 32, depth: 3, maximumLength: 40, steps: 600 };
  const metrics = await measure("listops", "dot", 0.003, settings);
  expect(metrics["depthAccuracyAt1"]).toBeGreaterThan(metrics["depthAccuracyAt3"] + 0.1);
  expect(metrics["depthAccuracyAt3"]).toBeGreaterThan(metrics["majorityAccuracy"] + 0.1);
});

test("more facts than a model can hold leave it about a bit in every parameter, not many", async () => {
  const settings = { width: 16, facts: 2048, steps: 1000 };
  const { bitsPerParameter } = await measure("facts", "dot", 0.01, settings);
  expect(bitsPerParameter).toBeGreaterThan(0.7);
  expect(bitsPerParameter).toBeLessThan(2);
});
