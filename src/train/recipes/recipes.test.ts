import { weightDeviation } from "../../nn/initialisation.ts";
import { beforeAll, describe, expect, test } from "vitest";
import { startJax } from "../../kernels/jax/start.ts";
import { type AnnotatedTrainable } from "../loop.ts";
import { type DataSource, type Recipe } from "../trainable.ts";
import { extrapolationRecipe } from "./extrapolation.ts";
import { recipeOf, recipes } from "./index.ts";
import { languageRecipe } from "./language.ts";
import { recallTokensRecipe } from "./recall-tokens.ts";
import { recallRecipe } from "./recall.ts";

const text = Array.from(
  { length: 600 },
  (_, line) => `the ${line % 7} of ${(line * line) % 11} is ${(line * 3) % 5}\n`,
).join("");

const data: DataSource = {
  text: () => Promise.resolve(text),
  nouns: () => Promise.reject(new Error("no task here needs nouns")),
};

const common = ["largestLogit", "entropy", "stateBytes", "parameters"];

beforeAll(() => startJax());

async function create<Settings extends object>(
  recipe: Recipe<Settings>,
  selector: string,
  settings: Record<string, unknown>,
  learningRate = 0.01,
): Promise<AnnotatedTrainable> {
  return recipe.create({ selector, seed: 1, learningRate, settings: recipe.settings(settings), data });
}

describe("the list of recipes", () => {
  test("has every task once, with its metric, its unit and ascending learning rates", () => {
    expect(recipes.map(({ task }) => task)).toEqual([
      "recall",
      "recall-tokens",
      "copy",
      "selective-copy",
      "induction",
      "associative-recall",
      "listops",
      "facts",
      "language",
      "hierarchy",
      "extrapolation",
      "scaling",
    ]);
    for (const recipe of recipes) {
      const settings = recipe.settings({});
      const rates = recipe.learningRates(settings, "dot");
      expect(rates.length).toBeGreaterThan(0);
      expect(rates).toEqual([...rates].sort((a, b) => a - b));
      expect(recipe.settings(settings as Record<string, unknown>)).toEqual(settings);
    }
  });

  test("names the nearest tasks for one that it lacks", () => {
    expect(recipeOf("recall").task).toBe("recall");
    expect(() => recipeOf("recal")).toThrow("Did you mean 'recall'");
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["recall", { pair: 3 }, "Did you mean 'pairs'"],
    ["recall", { pairs: 0 }, "'pairs' of 'recall' as it must be a whole number ≥ 1: 0"],
    ["language", { length: "64" }, "it must be a whole number ≥ 1"],
    ["recall-tokens", { fillers: "keys" }, "zero or random"],
    ["extrapolation", { factors: [1, 2.5] }, "'factors"],
    ["recall", { noise: -1 }, "a number ≥ 0"],
  ])("%s refuses %o", (task, settings, message) => {
    expect(() => recipeOf(task).settings(settings)).toThrow(message);
  });
});

describe("recall", () => {
  const small = {
    pairs: 4,
    batch: 16,
    steps: 60,
    classes: 8,
    valueWidth: 8,
    keyWidth: 8,
    headWidth: 8,
    testBatches: 2,
    warmUp: 2,
  };

  test("learns, and measures what a comparison shows", async () => {
    const run = await create(recallRecipe, "l2", small, 0.1);
    const before = await run.validate();
    for (let step = 0; step < run.steps; step++) expect((await run.step(step)).items).toBe(64);
    const after = await run.test();
    run.dispose();
    expect(after["accuracy"]).toBeGreaterThan(before["accuracy"] + 0.3);
    expect(Object.keys(after).sort()).toEqual(["accuracy", "loss", ...common].sort());
    expect(after["stateBytes"]).toBe(8 * (8 + 8) * 4);
  });

  test("has no entropy where weights are raw scores", async () => {
    const run = await create(recallRecipe, "dot+none", small);
    const metrics = await run.test();
    run.dispose();
    expect(metrics).not.toHaveProperty("entropy");
    expect(metrics["stateBytes"]).toBe(8 * 8 * 4);
  });
});

/**
 * How much more than a uniform guess an untrained tied head may cost, in nats: logits of deviation d = σ√width cost half their
 * variance, and the token itself has the logit d√width from the start.
 */
function mostAboveUniform(width: number, vocabulary: number): number {
  const deviation = weightDeviation(width) * Math.sqrt(width);
  return deviation ** 2 / 2 + Math.log(1 + Math.expm1(deviation * Math.sqrt(width)) / vocabulary);
}

describe("recall in tokens", () => {
  test("scores queries only, at their share of right answers", async () => {
    const run = await create(recallTokensRecipe, "dot", {
      vocabulary: 16,
      length: 16,
      pairs: 2,
      width: 16,
      batch: 4,
      steps: 2,
      testBatches: 1,
    });
    const { loss, items } = await run.step(0);
    const metrics = await run.test();
    run.dispose();
    expect(items).toBe(8);
    expect(Math.abs(loss! - Math.log(16))).toBeLessThan(mostAboveUniform(16, 16));
    expect(Object.keys(metrics).sort()).toEqual(["accuracy", "exact", "loss", ...common].sort());
  });
});

describe("language", () => {
  test("starts at the bits of a uniform guess and learns the text", async () => {
    const run = await create(languageRecipe, "dot", {
      width: 32,
      heads: 2,
      batch: 8,
      length: 32,
      steps: 25,
      testWindows: 8,
      warmUp: 2,
    });
    const { bitsPerCharacter: before } = await run.validate();
    for (let step = 0; step < run.steps; step++) expect((await run.step(step)).items).toBe(8 * 32);
    const after = await run.test();
    run.dispose();
    const characters = new Set(text).size;
    expect(Math.abs(before - Math.log2(characters))).toBeLessThan(
      mostAboveUniform(32, characters) / Math.LN2,
    );
    expect(after["bitsPerCharacter"]).toBeLessThan(before - 1);
    expect(after["bitsPerCharacter"]).toBeCloseTo(after["loss"] / Math.LN2, 10);
    expect(Object.keys(after).sort()).toEqual(["bitsPerCharacter", "loss", ...common].sort());
  });

  test("another seed is another model, and the same one is the same", async () => {
    const settings = languageRecipe.settings({ width: 16, heads: 2, batch: 2, length: 8, steps: 1 });
    const losses = [];
    for (const seed of [1, 1, 2]) {
      const run = await languageRecipe.create({ selector: "dot", seed, learningRate: 0.01, settings, data });
      losses.push((await run.step(0)).loss);
      run.dispose();
    }
    expect(losses[1]).toBe(losses[0]);
    expect(losses[2]).not.toBe(losses[0]);
  });
});

describe("extrapolation", () => {
  const small = {
    width: 16,
    heads: 2,
    layers: 1,
    batch: 4,
    length: 8,
    steps: 2,
    factors: [1, 2, 4],
    blocks: 4,
  };

  test("measures every length on the same text, and the longest is the metric", async () => {
    const run = await create(extrapolationRecipe, "dot+alibi", small);
    const metrics = await run.test();
    run.dispose();
    const lengths = [8, 16, 32];
    expect(Object.keys(metrics).sort()).toEqual(
      [
        "bitsPerCharacter",
        "bitsIncrease",
        ...lengths.flatMap((at) => [`bitsPerCharacterAt${at}`, `lastBitsPerCharacterAt${at}`]),
        ...common,
      ].sort(),
    );
    expect(metrics["bitsPerCharacter"]).toBe(metrics["bitsPerCharacterAt32"]);
    expect(metrics["bitsIncrease"]).toBe(metrics["bitsPerCharacterAt32"] - metrics["bitsPerCharacterAt8"]);
    expect(metrics["stateBytes"]).toBe(2 * 32 * 2 * 8 * 4);
    expect(run.notes).toBeUndefined();
  });

  test("learned positions have no metric beyond their length, and the run says so", async () => {
    const run = await create(extrapolationRecipe, "dot+learned", small);
    const metrics = await run.test();
    run.dispose();
    expect(metrics).toHaveProperty("bitsPerCharacterAt8");
    expect(metrics).not.toHaveProperty("bitsPerCharacterAt16");
    expect(metrics).not.toHaveProperty("bitsPerCharacter");
    expect(run.notes?.join()).toContain("Learned positions end at 8 places");
  });

  test("a scaled rope learns plain and is stretched only beyond the trained length", async () => {
    const [plain, scaled, always] = [
      await create(extrapolationRecipe, "dot+rope", small),
      await create(extrapolationRecipe, "dot+rope:scaling=pi,factor=4", small),
      await create(extrapolationRecipe, "dot+rope:scaling=pi,factor=4", { ...small, scaled: "always" }),
    ];
    const losses = [];
    for (const run of [plain, scaled, always]) losses.push((await run.step(0)).loss);
    const [a, b] = [await plain.test(), await scaled.test()];
    for (const run of [plain, scaled, always]) run.dispose();
    expect(losses[1]).toBe(losses[0]);
    expect(losses[2]).not.toBe(losses[0]);
    expect(b["bitsPerCharacterAt8"]).toBe(a["bitsPerCharacterAt8"]);
    expect(b["bitsPerCharacterAt32"]).not.toBe(a["bitsPerCharacterAt32"]);
    expect(scaled.notes?.join()).toContain("Trained with dot:scale=auto+rope+causal");
  });
});
