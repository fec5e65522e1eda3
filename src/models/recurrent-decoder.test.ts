/** @file Decoders whose layers have recurrences: their f64 form, causality, mixtures with attentions, refusals. */
import { beforeAll, describe, expect, test } from "vitest";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { ruleSelectors } from "../recurrence/rule-fixtures.ts";
import { type DecoderConfig } from "./decoder-config.ts";
import { differencesFromF64, withArrays } from "./decoder-fixtures.ts";
import { decoder } from "./decoder.ts";
import { livelyTensors, randomBatch } from "./model-fixtures.ts";

const base: DecoderConfig = {
  vocabulary: 11,
  width: 12,
  layers: 1,
  heads: 2,
  headWidth: 3,
  attention: "linear",
  maximumLength: 12,
};

beforeAll(() => startJax());

/** What can compute the recurrences of a decoder; the reference itself is tested elsewhere, so here by a few rules. */
const engines = {
  reference: { engine: undefined, selectors: ["linear:map=hedgehog", "rwkv4", "rwkv6"] },
  "fused kernels": { engine: new WasmEngine(), selectors: ruleSelectors },
};

describe.each(Object.entries(engines))("a decoder on the %s", (_name, { engine, selectors }) => {
  test.each(selectors)("has the logits and gradients of its f64 form: %s", async (attention) => {
    const model = decoder({ ...base, attention }, { engine });
    expect(await differencesFromF64(model, livelyTensors(model, 3), randomBatch(11, 2, 5))).toEqual([]);
    model.dispose();
  });

  test.each<[string, Partial<DecoderConfig>]>([
    ["keys that queries share", { heads: 4, keyValueHeads: 2, attention: "rwkv7" }],
    ["heads that see the two tokens before", { layers: 2, convolution: 3, attention: "deltanet" }],
    [
      "both classes after a convolution",
      {
        convolution: 2,
        heads: 4,
        keyValueHeads: 2,
        attention: [
          [
            { selector: "gla", heads: 2 },
            { selector: "dot:scale=learned+rope+causal", heads: 2 },
          ],
        ],
        headWidth: 4,
      },
    ],
    ["places added to the embeddings", { attention: "linear+sinusoidal" }],
    [
      "a recurrence below an attention",
      { layers: 2, attention: ["gated-deltanet", "l2:beta=learned+causal"] },
    ],
    [
      "heads of both classes side by side",
      {
        attention: [
          [
            { selector: "gla", heads: 1 },
            { selector: "dot:scale=learned+causal", heads: 1 },
          ],
        ],
      },
    ],
  ])("%s", async (_what, variant) => {
    const model = decoder({ ...base, ...variant }, { engine });
    expect(await differencesFromF64(model, livelyTensors(model, 3), randomBatch(11, 2, 5))).toEqual([]);
    model.dispose();
  });
});

describe("a decoder of recurrences", () => {
  test("a later token changes no earlier logit by a bit", async () => {
    const model = decoder(
      { ...base, layers: 2, attention: ["performer:features=5", "rwkv7"] },
      {
        engine: engines["fused kernels"].engine,
      },
    );
    const tensors = livelyTensors(model, 1);
    const { tokens } = randomBatch(11, 1, 10);
    const changed = tokens.with(6, (tokens[6] + 1) % 11);
    const [one, other] = await withArrays(tensors, async (arrays) => [
      await model.logits(arrays, tokens, 1),
      await model.logits(arrays, changed, 1),
    ]);
    model.dispose();
    expect(other.data.slice(0, 6 * 11)).toEqual(one.data.slice(0, 6 * 11));
    expect(other.data.slice(6 * 11)).not.toEqual(one.data.slice(6 * 11));
  });

  test("has no scores, and a state that does not grow", async () => {
    const model = decoder({ ...base, attention: "deltanet" });
    const statistics = await withArrays(livelyTensors(model, 1), (arrays) =>
      model.measureScores(arrays, randomBatch(11, 1, 4)),
    );
    expect(statistics).toEqual({});
    expect(model.stateBytes(10)).toBe(2 * 3 * 3 * 4);
    expect(model.stateBytes(1000)).toBe(model.stateBytes(10));
    model.dispose();
  });

  test.each<[string, Partial<DecoderConfig>, string]>([
    ["the future", { attention: "linear+full" }, "no token may see a later one"],
    ["a rotation of what decays by coordinate", { attention: "gla+rope" }, "one number for each"],
    ["a rotation of heads of odd width", { attention: "retnet+rope" }, "even"],
    ["shared channels", { heads: 4, keyValueHeads: 2, attention: "rwkv4" }, "one key and one value each"],
  ])("refuses %s", (_what, variant, message) => {
    expect(() => decoder({ ...base, ...variant })).toThrow(message);
  });
});
