/**
 * @file The memory of a run: steps, measurements and checkpoints must not make jax-js's WebAssembly memory grow, which only
 * happens when something is not freed. Memories are caught when they are made; that of an engine is as large as its largest call.
 */
import { expect, test } from "vitest";
import { memoryBytes } from "../../test/watched-memory.ts";

test("eighty steps with measurements and checkpoints need no more memory than eight", async () => {
  const { recallTokensRecipe } = await import("./recipes/recall-tokens.ts");
  const settings = recallTokensRecipe.settings({
    vocabulary: 16,
    length: 16,
    pairs: 2,
    width: 16,
    batch: 4,
    steps: 100,
    testBatches: 1,
    feedForward: "gelu",
  });
  const run = await recallTokensRecipe.create({
    selector: "dot+rope",
    seed: 1,
    learningRate: 0.01,
    settings,
    data: {
      text: () => Promise.reject(new Error("no text")),
      nouns: () => Promise.reject(new Error("no nouns")),
    },
  });
  // Every array but scalars, gains and temperatures is of a kilobyte at least: 64 of them that stay fill a page.
  const round = async (step: number): Promise<void> => {
    await run.step(step);
    await run.validate();
    if (step % 8 === 0) await run.restore(await run.snapshot());
  };
  for (let step = 0; step < 8; step++) await round(step);
  await run.test();
  const before = memoryBytes();
  expect(before).toBeGreaterThan(0);
  for (let step = 8; step < 88; step++) await round(step);
  await run.test();
  expect(memoryBytes()).toBe(before);
  run.dispose();
});

test.each(["an engine", "jax-js alone"])(
  "sixty steps with experts on %s need no more memory than eight",
  async (device) => {
    const { recallTokensRecipe } = await import("./recipes/recall-tokens.ts");
    const { WasmEngine } = await import("../kernels/wasm/index.ts");
    const engine = device === "an engine" ? new WasmEngine() : undefined;
    const grown = (): number => memoryBytes() - (engine?.arena.sizeBytes ?? 0);
    const settings = recallTokensRecipe.settings({
      vocabulary: 16,
      length: 16,
      pairs: 2,
      width: 16,
      layers: 1,
      batch: 4,
      steps: 100,
      testBatches: 1,
      feedForward: "swiglu",
      experts: 4,
      router: "l2",
    });
    const run = await recallTokensRecipe.create({
      selector: "dot+rope",
      seed: 1,
      learningRate: 0.01,
      settings,
      data: {
        text: () => Promise.reject(new Error("no text")),
        nouns: () => Promise.reject(new Error("no nouns")),
      },
      engine,
    });
    // Every array but scalars, gains and temperatures is of a quarter of a kilobyte at least: 256 of them that stay fill a page.
    const round = async (step: number): Promise<void> => {
      await run.step(step);
      await run.validate();
    };
    for (let step = 0; step < 8; step++) await round(step);
    await run.test();
    const before = grown();
    expect(before).toBeGreaterThan(0);
    for (let step = 8; step < 68; step++) await round(step);
    await run.test();
    expect(grown()).toBe(before);
    run.dispose();
  },
);
