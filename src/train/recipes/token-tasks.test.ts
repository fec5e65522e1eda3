import { beforeAll, describe, expect, test } from "vitest";
import { MissingError } from "../../base/errors.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { type AnnotatedTrainable } from "../loop.ts";
import { type DataSource, type Metrics } from "../trainable.ts";
import { recipeOf } from "./index.ts";

const data: DataSource = {
  text: () => Promise.reject(new MissingError("no-data", "tasks in tokens need no text")),
  nouns: () => Promise.reject(new MissingError("no-data", "tasks in tokens need no nouns")),
};

const common = ["largestLogit", "entropy", "stateBytes", "parameters"];
/** One head of a width that learns; a feed-forward only where there is something to compute. */
const small = { width: 16, heads: 1, layers: 1, feedForward: "none", warmUp: 5 };

beforeAll(() => startJax());

async function create(
  task: string,
  settings: Record<string, unknown>,
  selector = "dot",
): Promise<AnnotatedTrainable> {
  const recipe = recipeOf(task);
  const learningRate = 0.01;
  return recipe.create({ selector, seed: 1, learningRate, settings: recipe.settings(settings), data });
}

/** Trains to the end; every step must learn from so many labels. */
async function learn(task: string, settings: Record<string, unknown>, items: number): Promise<Metrics> {
  const run = await create(task, settings);
  for (let step = 0; step < run.steps; step++) expect((await run.step(step)).items).toBe(items);
  const metrics = await run.test();
  run.dispose();
  return metrics;
}

/** What a guess gets right at most: five standard deviations above its share. */
const guessed = (share: number, labels: number): number =>
  share + 5 * Math.sqrt((share * (1 - share)) / labels);

describe("a short run beats a guess, and is measured along what makes the task hard", () => {
  test("copy, by place in the word", async () => {
    const settings = { ...small, vocabulary: 5, length: 10, steps: 40, batch: 32, testBatches: 2 };
    const metrics = await learn("copy", settings, 4 * 32);
    expect(metrics["accuracy"]).toBeGreaterThan(guessed(1 / 4, 2 * 4 * 32));
    expect(metrics["exact"]).toBeLessThanOrEqual(metrics["accuracy"]);
    expect(Object.keys(metrics).sort()).toEqual(
      ["accuracy", "exact", "loss", ...[1, 2, 4].map((place) => `placeAccuracyAt${place}`), ...common].sort(),
    );
    expect(metrics["stateBytes"]).toBe(10 * 2 * 16 * 4);
  });

  test("selective copy, by the symbol's number", async () => {
    const sizes = { vocabulary: 6, noise: 6, symbols: 2, batch: 32, testBatches: 2 };
    const metrics = await learn("selective-copy", { ...small, ...sizes, steps: 60 }, 2 * 32);
    expect(metrics["accuracy"]).toBeGreaterThan(guessed(1 / 4, 2 * 2 * 32));
    expect(Object.keys(metrics)).toEqual(
      expect.arrayContaining(["exact", "placeAccuracyAt1", "placeAccuracyAt2"]),
    );
  });

  test("induction, at lengths that training never showed", async () => {
    const sizes = { vocabulary: 5, length: 8, factors: [1, 4], testSequences: 128, batch: 64 };
    const metrics = await learn(
      "induction",
      { ...small, ...sizes, heads: 2, layers: 2, feedForward: "swiglu", steps: 80 },
      64,
    );
    expect(metrics["accuracy"]).toBeGreaterThan(guessed(1 / 4, 128));
    expect(metrics["accuracyAt8"]).toBe(metrics["accuracy"]);
    expect(metrics).toHaveProperty("accuracyAt32");
    expect(metrics["stateBytes"]).toBe(2 * 32 * 2 * 16 * 4);
  });

  test("associative recall, by how long ago the key was shown", async () => {
    const sizes = { vocabulary: 5, length: 8, batch: 64, testBatches: 4 };
    const metrics = await learn("associative-recall", { ...small, ...sizes, layers: 2, steps: 80 }, 64);
    expect(metrics["accuracy"]).toBeGreaterThan(guessed(1 / 2, 4 * 64));
    expect(Object.keys(metrics)).toEqual(
      expect.arrayContaining(["distanceAccuracyAt1", "distanceAccuracyAt2"]),
    );
    expect(metrics).not.toHaveProperty("exact");
  });

  test("listops, by nesting and beside the commonest answer", async () => {
    const sizes = { depth: 2, arguments: 2, maximumLength: 10, batch: 32, testBatches: 4 };
    const metrics = await learn(
      "listops",
      { ...small, ...sizes, heads: 2, layers: 2, feedForward: "swiglu", steps: 100 },
      32,
    );
    expect(metrics["accuracy"]).toBeGreaterThan(guessed(metrics["majorityAccuracy"], 4 * 32));
    expect(metrics["majorityAccuracy"]).toBeGreaterThanOrEqual(0.1);
    expect(metrics["depthAccuracyAt1"]).toBeGreaterThan(metrics["depthAccuracyAt2"]);
  });

  test("facts, in bits against parameters", async () => {
    const sizes = { facts: 60, letters: 4, nameLength: 3, answers: 4, batch: 64 };
    const metrics = await learn("facts", { ...small, ...sizes, feedForward: "gelu", steps: 60 }, 64);
    expect(metrics["bits"]).toBeGreaterThan(20);
    expect(metrics["bits"]).toBeLessThanOrEqual(120);
    expect(metrics["storedShare"]).toBeCloseTo(metrics["bits"] / 120, 12);
    expect(metrics["bits"]).toBeCloseTo(120 - (60 * metrics["loss"]) / Math.LN2, 9);
    expect(metrics["bitsPerParameter"]).toBe(metrics["bits"] / metrics["parameters"]);
    // Without experts a token meets every parameter.
    expect(metrics["activeParameters"]).toBe(metrics["parameters"]);
    expect(metrics["bitsPerActiveParameter"]).toBe(metrics["bitsPerParameter"]);
  });
});

test("facts in experts are in bits against the parameters that a token meets, too", async () => {
  const sizes = { facts: 60, letters: 4, nameLength: 3, answers: 4, batch: 64, steps: 1 };
  const run = await create("facts", { ...small, ...sizes, feedForward: "gelu", experts: 4 });
  const metrics = await run.test();
  const { model } = await run.snapshot();
  run.dispose();
  const ofExperts = Object.entries(model).flatMap(([name, { data }]) =>
    name.includes(".experts.") ? [data.length] : [],
  );
  // Two of four experts are chosen.
  const idle = ofExperts.reduce((sum, count) => sum + count, 0) / 2;
  expect(idle).toBeGreaterThan(0);
  expect(metrics["activeParameters"]).toBe(metrics["parameters"] - idle);
  expect(metrics["bitsPerActiveParameter"]).toBe(metrics["bits"] / metrics["activeParameters"]);
});

test("learned positions have no induction beyond their length, and the run says so", async () => {
  const sizes = { vocabulary: 5, length: 8, factors: [1, 2], testSequences: 16, steps: 1, batch: 16 };
  const run = await create("induction", { ...small, ...sizes }, "dot+learned");
  const metrics = await run.validate();
  run.dispose();
  expect(Object.keys(metrics).sort()).toEqual(["accuracy", "accuracyAt8", "loss"]);
  expect(run.notes?.join()).toContain("Learned positions end at 8 places");
});

test("validation, test and training are different data", async () => {
  const sizes = { vocabulary: 5, length: 10, steps: 1, batch: 16, testBatches: 1 };
  const run = await create("copy", { ...small, ...sizes });
  const [validation, tested] = [await run.validate(), await run.test()];
  run.dispose();
  expect(validation["loss"]).not.toBe(tested["loss"]);
});

test("a wider head keeps more state in a model of the same width", async () => {
  const sizes = { vocabulary: 5, length: 10, steps: 1, batch: 2, testBatches: 1, headWidth: 24 };
  const run = await create("copy", { ...small, ...sizes });
  const { stateBytes } = await run.test();
  run.dispose();
  expect(stateBytes).toBe(10 * 2 * 24 * 4);
});

test.each<[string, Record<string, unknown>, string]>([
  ["induction", { factors: [2, 4] }, "it must have the factor 1"],
  ["induction", { factors: [1, 0.5] }, "'factors.1'"],
  ["facts", { answers: 1 }, "'answers' of 'facts' as it must be a whole number ≥ 2: 1"],
  ["listops", { deth: 2 }, "Did you mean 'depth'"],
  ["selective-copy", { noise: -1 }, "a whole number ≥ 0"],
  // Sizes that are fine each but not together.
  ["copy", { length: 9 }, "its length must be even: 9"],
  ["facts", { letters: 2, nameLength: 2 }, "2^2 names for 4096 facts"],
  ["listops", { minimumLength: 90, maximumLength: 80 }, "the least is above the largest"],
  ["recall-tokens", { length: 8, pairs: 4 }, "4 × 4 > 8"],
])("%s refuses %o", (task, settings, message) => {
  expect(() => recipeOf(task).settings(settings)).toThrow(message);
});
