import { describe, expect, test } from "vitest";
import { type DataSource } from "../trainable.ts";
import { recallRecipe } from "./recall.ts";
import { recallTokensRecipe } from "./recall-tokens.ts";

const data: DataSource = {
  text: () => Promise.reject(new Error("recall needs no text")),
  nouns: () => Promise.reject(new Error("recall needs no nouns")),
};

/** The share of right answers that counts as solved, as in zoology. */
const solved = 0.98;

async function bestAccuracy(selector: string, seed: number): Promise<number> {
  const settings = recallRecipe.settings({});
  const accuracies: number[] = [];
  for (const learningRate of recallRecipe.learningRates(settings, selector)) {
    const run = await recallRecipe.create({ selector, seed, learningRate, settings, data });
    for (let step = 0; step < run.steps; step++) await run.step(step);
    accuracies.push((await run.test())["accuracy"]);
    run.dispose();
  }
  return Math.max(...accuracies);
}

describe("recall at its default setting", () => {
  test.each(["dot", "l2", "cosine", "cauchy", "lorentz", "poincare"])("%s solves it", async (selector) => {
    expect(await bestAccuracy(selector, 0)).toBeGreaterThan(solved);
  });

  test("linear attention of the same width does not", async () => {
    expect(await bestAccuracy("dot+none", 0)).toBeLessThan(0.75);
  });
});

test("a decoder of two layers learns recall in tokens", async () => {
  const settings = recallTokensRecipe.settings({});
  const run = await recallTokensRecipe.create({
    selector: "dot+rope",
    seed: 0,
    learningRate: 0.003,
    settings,
    data,
  });
  for (let step = 0; step < run.steps; step++) await run.step(step);
  const { accuracy } = await run.test();
  run.dispose();
  expect(accuracy).toBeGreaterThan(solved);
});
