/** @file RWKV in the tasks: `block=rwkv` trains the rules that have blocks of their own in them, and all else as ever. */
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../../kernels/jax/start.ts";
import { type DecoderSettings } from "../decoder-settings.ts";
import { blockNotes, trainingDecoder } from "../training-decoder.ts";
import { recipeOf } from "./index.ts";
import { copiedByRwkv, rwkvSettings } from "./recurrence-fixtures.ts";

beforeAll(() => startJax());

// The others of the four are in the long test.
test("rwkv7 learns to copy in its own blocks", async () => {
  const { before, after, notes } = await copiedByRwkv("rwkv7");
  expect(before["accuracy"]).toBeLessThan(0.5);
  expect(after["accuracy"]).toBeGreaterThan(0.9);
  expect(after["loss"]).toBeLessThan(Number(before["loss"]) / 2);
  // Two layers with two heads of 8×8 numbers, and the two tokens that each keeps.
  expect(after["stateBytes"]).toBe(4 * 2 * (2 * 8 * 8 + 2 * 16));
  expect(notes).toEqual([expect.stringContaining("its own blocks")]);
});

const [settings, plain] = [rwkvSettings, { ...rwkvSettings, block: "transformer" }].map(
  recipeOf("copy").settings,
) as DecoderSettings[];

test.each<[string, DecoderSettings, string, string | undefined]>([
  ["rwkv6", settings, "blocks.1.ffn.key.weight", "'rwkv6' is trained in its own blocks"],
  ["rwkv7", plain, "model.layers.1.mlp.up_proj.weight", undefined],
  ["gla", settings, "model.layers.1.mlp.up_proj.weight", "'gla' is trained in Transformer blocks"],
  [
    "dot+causal",
    settings,
    "model.layers.1.mlp.up_proj.weight",
    "'dot+causal' is trained in Transformer blocks",
  ],
])("%s has its blocks, and a run says so where it was asked", (selector, chosen, name, note) => {
  const run = { selector, attention: selector, vocabulary: 5, maximumLength: 6 };
  const model = trainingDecoder(chosen, run);
  expect(model.parameters.map((parameter) => parameter.name)).toContain(name);
  expect(blockNotes(chosen, selector)).toEqual(note === undefined ? [] : [expect.stringContaining(note)]);
  model.dispose();
});

test.each<[string, Partial<DecoderSettings>]>([
  ["rwkv7+sinusoidal", {}],
  ["rwkv7", { experts: 4 }],
  ["rwkv6", { keyValueHeads: 1 }],
  ["rwkv5", { residual: "reversible" }],
])("%s with %o does not fit its blocks", (selector, others) => {
  const run = { selector, attention: selector, vocabulary: 5, maximumLength: 6 };
  expect(() => trainingDecoder({ ...settings, ...others }, run)).toThrow(
    expect.objectContaining({ code: "rwkv-block" }),
  );
});
