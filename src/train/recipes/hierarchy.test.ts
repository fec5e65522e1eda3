import { expect, test } from "vitest";
import { MissingError } from "../../base/errors.ts";
import { type DataSource, type Metrics } from "../trainable.ts";
import { hierarchyRecipe } from "./hierarchy.ts";

const noData: DataSource = {
  text: () => Promise.reject(new MissingError("no-data", "a tree needs no text")),
  nouns: () => Promise.reject(new MissingError("no-data", "a tree needs no nouns")),
};

const settings = hierarchyRecipe.settings({
  source: "tree",
  branching: 3,
  depth: 4,
  width: 2,
  epochs: 30,
  burnIn: 5,
  negatives: 20,
});

async function train(selector: string, learningRate: number, epochs = settings.epochs): Promise<Metrics> {
  const run = await hierarchyRecipe.create({ selector, seed: 1, learningRate, settings, data: noData });
  for (let epoch = 0; epoch < epochs; epoch++) await run.step(epoch);
  return run.test();
}

test("a tree of 121 nodes fits two hyperbolic coordinates better than two Euclidean ones, each at its best rate", async () => {
  const best = async (selector: string): Promise<number> => {
    const results = await Promise.all([0.1, 0.3, 1].map((rate) => train(selector, rate)));
    return Math.max(...results.map((metrics) => metrics["meanAveragePrecision"]));
  };
  expect(await best("poincare")).toBeGreaterThan(await best("l2"));
});

test("the ball and the hyperboloid are one space: from one start they reach about the same precision", async () => {
  const ball = await train("poincare", 0.3);
  const hyperboloid = await train("lorentz-distance", 0.3);
  const chartsDifferInStart = 0.1;
  expect(Math.abs(ball["meanAveragePrecision"] - hyperboloid["meanAveragePrecision"])).toBeLessThan(
    chartsDifferInStart,
  );
});

test.each([
  "dot",
  "l2",
  "rbf",
  "l1",
  "cauchy",
  "cosine",
  "lorentz",
  "poincare:c=learned",
  "complex",
  "tropical",
])("%s learns: the loss falls", async (selector) => {
  const run = await hierarchyRecipe.create({ selector, seed: 2, learningRate: 0.3, settings, data: noData });
  const first = await run.step(0);
  for (let epoch = 1; epoch < 11; epoch++) await run.step(epoch);
  const later = await run.step(11);
  expect(later.loss).toBeLessThan(first.loss ?? -Infinity);
});

test("a run restored from a snapshot continues with the same numbers", async () => {
  const request = { selector: "poincare:c=learned", seed: 3, learningRate: 0.3, settings, data: noData };
  const whole = await hierarchyRecipe.create(request);
  for (let epoch = 0; epoch < 4; epoch++) await whole.step(epoch);
  const begun = await hierarchyRecipe.create(request);
  for (let epoch = 0; epoch < 2; epoch++) await begun.step(epoch);
  const resumed = await hierarchyRecipe.create(request);
  await resumed.restore(await begun.snapshot());
  for (let epoch = 2; epoch < 4; epoch++) await resumed.step(epoch);
  expect((await resumed.snapshot()).model["embeddings"]).toEqual(
    (await whole.snapshot()).model["embeddings"],
  );
  expect(await resumed.test()).toEqual(await whole.test());
});

test("parts that cannot matter for embeddings are refused", async () => {
  await expect(
    hierarchyRecipe.create({ selector: "l2+causal", seed: 1, learningRate: 0.1, settings, data: noData }),
  ).rejects.toThrow(/only the similarity/);
  expect(() => hierarchyRecipe.settings({ widht: 2 })).toThrow(/'width'/);
  expect(() => hierarchyRecipe.settings({ width: 0 })).toThrow(/width/);
});
