import { expect, test } from "vitest";
import { MissingError } from "../../base/errors.ts";
import { WasmEngine } from "../../kernels/wasm/index.ts";
import { type AnnotatedTrainable } from "../loop.ts";
import { type DataSource } from "../trainable.ts";
import { scalingRecipe } from "./scaling.ts";

const engine = new WasmEngine();
let heldBytes = 2 ** 20;
const data: DataSource = {
  text: () => Promise.reject(new MissingError("no-data", "scaling needs no text")),
  nouns: () => Promise.reject(new MissingError("no-data", "scaling needs no nouns")),
  residentBytes: () => (heldBytes *= 2),
};
const settings = scalingRecipe.settings({ from: 4, to: 6, heads: 1, headWidth: 8, rounds: 1 });
const request = { selector: "l2", seed: 1, learningRate: 0, settings, data };

test("every length is measured once, and the exponents are those of the measurements", async () => {
  const run = await scalingRecipe.create(request);
  expect(run.steps).toBe(3);
  for (let step = 0; step < run.steps; step++) expect((await run.step(step)).items).toBe(4 ** (4 + step));
  const metrics = await run.test();
  const [first, last] = [metrics["timeMsAt16"], metrics["timeMsAt64"]];
  expect(metrics["timeExponent"]).toBeCloseTo(Math.log(last / first) / Math.log(4), 9);
  expect(Object.keys(metrics)).toEqual(expect.arrayContaining(["bytesAt16", "bytesAt64", "memoryExponent"]));
  expect(await run.validate()).toEqual(metrics);
});

test("a stopped run goes on from its snapshot and keeps what it measured", async () => {
  const begun = await scalingRecipe.create(request);
  await begun.step(0);
  await expect(begun.test()).rejects.toThrow(/three lengths must be measured: 1/);
  const resumed = await scalingRecipe.create(request);
  await resumed.restore(await begun.snapshot());
  await resumed.step(1);
  await resumed.step(2);
  const { state } = await begun.snapshot();
  expect((await resumed.test())["timeMsAt16"]).toBe((state["timesMs"] as readonly number[])[0]);
});

test.each([
  ["deltanet", true],
  ["linear:map=hedgehog", true],
  ["rwkv4", true],
  ["gla", false],
])("measures %s, on an engine: %s; what the reference computes is said", async (selector, isFused) => {
  const run: AnnotatedTrainable = await scalingRecipe.create({
    ...request,
    selector,
    ...(isFused ? { engine } : {}),
  });
  for (let step = 0; step < run.steps; step++) await run.step(step);
  const metrics = await run.test();
  expect(metrics["timeMsAt64"]).toBeGreaterThan(0);
  expect(Number.isFinite(metrics["timeExponent"])).toBe(true);
  expect(run.notes ?? []).toEqual(isFused ? [] : [expect.stringContaining("the f64 reference")]);
});

test.each([
  ["linear+learned", /added to embeddings.*'learned'/],
  ["dot+sinusoidal", /added to embeddings.*'sinusoidal'/],
  ["retnet:chunk=16", /chunks have 64 tokens: chunk is 16/],
])("%s is refused before anything is measured", (selector, message) => {
  expect(() => scalingRecipe.create({ ...request, selector, engine })).toThrow(message);
});

test("settings out of range are refused", () => {
  expect(() => scalingRecipe.settings({ from: 1 })).toThrow(/'from'.*whole number ≥ 4/);
});
