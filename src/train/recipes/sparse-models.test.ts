/** @file The settings of a Reformer and of a Sparse Transformer train in a task, on an engine and all in jax-js. */
import { beforeAll, expect, test } from "vitest";
import { MissingError } from "../../base/errors.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { WasmEngine } from "../../kernels/wasm/index.ts";
import { type DataSource } from "../trainable.ts";
import { recipeOf } from "./index.ts";

const data: DataSource = {
  text: () => Promise.reject(new MissingError("no-data", "copies need no text")),
  nouns: () => Promise.reject(new MissingError("no-data", "copies need no nouns")),
};

const small = { vocabulary: 5, length: 10, width: 16, heads: 2, warmUp: 5, batch: 32, testBatches: 2 };
const engine = new WasmEngine();
/** What a guess gets right at most: five standard deviations above 1/4 of 256 labels. */
const guessed = 1 / 4 + (5 * Math.sqrt((1 / 4) * (3 / 4))) / Math.sqrt(256);

const reformer = { residual: "reversible", sharedQueryKey: true };
const hashed = "dot+lsh:buckets=2,rounds=4,chunk=5";

beforeAll(() => startJax());

test.each([
  ["a Reformer on an engine", hashed, { ...reformer, layers: 2, steps: 40 }, engine],
  ["a Reformer in jax-js", hashed, { ...reformer, layers: 2, steps: 40 }, undefined],
  [
    "strided factors on an engine",
    "dot+strided:stride=4,local=2",
    { layers: 1, patternFactors: "split", steps: 60 },
    engine,
  ],
  [
    "fixed factors in jax-js",
    "dot+fixed:block=5,columns=5",
    { layers: 2, patternFactors: "interleaved", steps: 60 },
    undefined,
  ],
] as const)("%s copies better than a guess", async (_, selector, settings, computed) => {
  const recipe = recipeOf("copy");
  const run = await recipe.create({
    selector,
    seed: 1,
    learningRate: 0.01,
    settings: recipe.settings({ ...small, ...settings }),
    data,
    ...(computed === undefined ? {} : { engine: computed }),
  });
  for (let step = 0; step < run.steps; step++) await run.step(step);
  const metrics = await run.test();
  run.dispose();
  expect(metrics["accuracy"]).toBeGreaterThan(guessed);
  expect(metrics["largestLogit"]).toBeGreaterThan(0);
});
