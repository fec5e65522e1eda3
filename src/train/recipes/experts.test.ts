/** @file Decoders with experts in training: routers of any similarity learn, and what routing did is among the metrics. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startJax } from "../../kernels/jax/start.ts";
import { nodeEngine } from "../../kernels/wasm/engine/pool.node.ts";
import { type DataSource, type Trainable } from "../trainable.ts";
import { languageRecipe } from "./language.ts";

const text = Array.from(
  { length: 600 },
  (_, line) => `the ${line % 7} of ${(line * line) % 11} is ${(line * 3) % 5}\n`,
).join("");
const data: DataSource = {
  text: () => Promise.resolve(text),
  nouns: () => Promise.reject(new Error("no task here needs nouns")),
};
const steps = 15;
const engine = nodeEngine({ threads: 1 });
beforeAll(() => startJax());
afterAll(() => engine.close());

function create(settings: Record<string, unknown>): Promise<Trainable> {
  const all = {
    width: 16,
    layers: 1,
    heads: 2,
    batch: 8,
    length: 16,
    steps,
    warmUp: 2,
    testWindows: 4,
    ...settings,
  };
  const request = { selector: "dot", seed: 1, learningRate: 0.02, data, engine };
  return languageRecipe.create({ ...request, settings: languageRecipe.settings(all) });
}

describe.each(["l2", "cosine", "poincare"])("a router by %s", (router) => {
  test("learns with everything else", async () => {
    const run = await create({ experts: 4, routing: router === "l2" ? "mixtral" : "switch", router });
    const keys = `model.layers.0.mlp.router.weight`;
    const before = await run.snapshot();
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) losses.push((await run.step(step)).loss!);
    const after = await run.snapshot();
    // Twenty-odd letters cost 3 nats before anything is learned; the lines are mostly known after a pass over a few of them.
    expect(losses[steps - 1]).toBeLessThan(losses[0] - 0.5);
    expect(after.model[keys].data).not.toEqual(before.model[keys].data);
    const metrics = await run.test();
    const names = [
      "bitsPerCharacter",
      "entropy",
      "droppedShare",
      "balanceLoss",
      "expertLoad1",
      "expertLoad4",
      "activeParameters",
    ];
    expect(Object.keys(metrics)).toEqual(expect.arrayContaining(names));
    run.dispose();
  });
});

test("choices and capacity are settings, where the routing's own are not wanted", async () => {
  const dropped = async (settings: Record<string, unknown>): Promise<number> => {
    const run = await create({ experts: 4, ...settings });
    const metrics = await run.test();
    run.dispose();
    return metrics["droppedShare"];
  };
  // A quarter of the choices is what all experts together take.
  expect(await dropped({ choices: 1, capacityFactor: 0.25 })).toBeGreaterThanOrEqual(0.75);
  expect(await dropped({ routing: "switch", capacityFactor: "none" })).toBe(0);
  expect(languageRecipe.idle?.(languageRecipe.settings({}))).toHaveProperty("balance");
  await expect(dropped({ experts: 0, balance: 0.1 })).rejects.toThrow(
    /'balance' .* no effect where experts is 0/,
  );
  await expect(dropped({ choices: 5 })).rejects.toThrow("5 choices among 4 experts");
  expect(() => languageRecipe.settings({ capacityFactor: "all" })).toThrow("a number ≥ 0 or none");
});

test("the weight of the balance loss is a setting, and none leaves the loss out", async () => {
  const balanceLoss = async (balance?: number): Promise<number> => {
    const run = await create({
      experts: 4,
      routing: "switch",
      ...(balance === undefined ? {} : { balance }),
    });
    const metrics = await run.test();
    run.dispose();
    return metrics["balanceLoss"];
  };
  const usual = await balanceLoss();
  expect(usual).toBeGreaterThan(0);
  // One product in float32.
  expect(Math.abs((await balanceLoss(0.05)) / usual / 5 - 1)).toBeLessThan(1e-6);
  expect(await balanceLoss(0)).toBe(0);
});

test("a router that cannot be is refused when the run is made", async () => {
  await expect(create({ experts: 1 })).rejects.toThrow("2 choices among 1 experts");
  await expect(create({ experts: 4, router: "l2+causal" })).rejects.toThrow(
    "a router has a similarity alone",
  );
});
