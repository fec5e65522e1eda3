/** @file Decoders with experts: logits and slopes of the f64 form, on an engine and in jax-js; what is refused; what is measured. */
import { type numpy as np } from "@jax-js/jax";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Numbers, Tape } from "../autodiff/index.ts";
import { random } from "../base/random.ts";
import { startJax } from "../kernels/jax/start.ts";
import { nodeEngine } from "../kernels/wasm/engine/pool.node.ts";
import { type Decoder, type TokenBatch } from "./decoder.ts";
import { livelyTensors, randomBatch, referenceLogits, type Tensors, toArrays } from "./model-fixtures.ts";
import { moeTransformer, type MoeTransformerConfig } from "./moe-transformer.ts";

/** Logits of size 10 after two layers of f32 sums of up to 16 terms: some 100 roundings of 2⁻²⁴ of 10. */
const LOGIT_TOLERANCE = 1e-4;
/** Gradients of size 1 are sums of some thousand f32 products: 1000·2⁻²⁴, and the f64 difference is off by 1e-10/1e-5. */
const SLOPE_TOLERANCE = 1e-4;
const STEP = 1e-5;
/** Losses of size 20 in float32, a few roundings of 2⁻²⁴ of them. */
const LOSS_TOLERANCE = 1e-5;

const base: MoeTransformerConfig = {
  vocabulary: 11,
  width: 16,
  layers: 2,
  heads: 4,
  hidden: 12,
  attention: "dot+rope+causal",
  maximumLength: 12,
  experts: { count: 4, balance: 0 },
};

const engine = nodeEngine({ threads: 1 });
beforeAll(() => startJax());
afterAll(() => engine.close());

async function withArrays<Result>(
  tensors: Tensors,
  use: (arrays: Record<string, np.Array>) => Promise<Result>,
): Promise<Result> {
  const arrays = toArrays(tensors);
  try {
    return await use(arrays);
  } finally {
    for (const array of Object.values(arrays)) array.dispose();
  }
}

function meanLoss(model: Decoder, tensors: Tensors, { tokens, targets }: TokenBatch): number {
  const losses = referenceLogits(model, tensors, tokens).map((row, place) => {
    const mass = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return Math.log(mass) - row[targets[place]];
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

const variants: Readonly<Record<string, Partial<MoeTransformerConfig>>> = {
  "two of four by a dot product": {},
  "one of four by l2": {
    layers: 1,
    experts: { count: 4, routing: "switch", router: "l2:beta=learned", capacityFactor: "none", balance: 0 },
  },
  "two of four by cosine, GELU": {
    layers: 1,
    experts: { count: 4, router: "cosine:beta=learned", balance: 0 },
    feedForward: "gelu",
    norm: "layer",
  },
  "three of four by poincare": {
    layers: 1,
    experts: { count: 4, choices: 3, router: "poincare:beta=learned,c=learned", balance: 0 },
  },
};

describe.each(Object.entries(variants))("%s", (_, changes) => {
  test("logits and gradients are those of the f64 form", async () => {
    const config = { ...base, ...changes };
    const models = [moeTransformer(config, { engine }), moeTransformer(config)];
    const tensors = livelyTensors(models[0], 3);
    const batch = randomBatch(11, 1, 8);
    const expected = referenceLogits(models[0], tensors, batch.tokens).flatMap((row) => [...row]);
    // All else is the decoder's own, and tested there.
    const slopes = models[0].parameters
      .filter(({ name }) => name.includes("layers.0.mlp"))
      .map(({ name }) => {
        const { data, shape } = tensors[name];
        const along = random("along", name).normals(data.length);
        const lossAt = (step: number): number => {
          const moved = { data: Float64Array.from(data, (value, at) => value + step * along[at]), shape };
          return meanLoss(models[0], { ...tensors, [name]: moved }, batch);
        };
        return { name, along, slope: (lossAt(STEP) - lossAt(-STEP)) / (2 * STEP) };
      });
    for (const model of models) {
      await withArrays(tensors, async (arrays) => {
        const { data } = await model.logits(arrays, batch.tokens, 1);
        const worst = expected.reduce((most, value, at) => Math.max(most, Math.abs(value - data[at])), 0);
        expect(worst).toBeLessThanOrEqual(LOGIT_TOLERANCE);
        const tape = new Tape();
        const gradients = await tape.backward(await model.loss(tape, arrays, batch));
        for (const { name, along, slope } of slopes) {
          const read = await gradients[name].data();
          const found = along.reduce((sum, value, at) => sum + value * read[at], 0);
          const error = Math.abs(found - slope) / Math.max(1, Math.abs(slope));
          expect([name, error <= SLOPE_TOLERANCE]).toEqual([name, true]);
        }
        tape.dispose();
      });
      model.dispose();
    }
  });
});

describe.each([
  ["an engine", { engine }],
  ["jax-js", {}],
])("on %s", (_, device) => {
  test.each([
    // Where a layer drops tokens in training, those after it see other rows than when scores are measured.
    ["one layer that drops tokens", { layers: 1, capacityFactor: 0.5 }],
    ["two layers", { layers: 2, capacityFactor: "none" }],
  ] as const)("what balances add to the loss is measured: %s", async (_, { layers, capacityFactor }) => {
    const [plain, costly] = [0, 1].map((balance) => {
      const experts = { count: 4, routing: "switch", capacityFactor, balance } as const;
      return moeTransformer({ ...base, layers, experts }, device);
    });
    const batch = randomBatch(11, 4, 8);
    await withArrays(livelyTensors(plain, 5), async (arrays) => {
      const learn = async (model: Decoder): Promise<{ loss: number; byKeys: readonly Numbers[] }> => {
        const tape = new Tape();
        const value = await model.loss(tape, arrays, batch);
        const [loss] = await value.read();
        const gradients = await tape.backward(value);
        const byKeys: Numbers[] = [];
        for (const [name, gradient] of Object.entries(gradients)) {
          if (name.endsWith("router.weight")) byKeys.push(await gradient.data());
          else gradient.dispose();
        }
        tape.dispose();
        return { loss, byKeys };
      };
      const statistics = await costly.measureScores(arrays, batch);
      // Half of the choices is what all experts together take.
      if (capacityFactor === 0.5) expect(statistics.droppedShare).toBeGreaterThanOrEqual(0.5);
      else expect(statistics.droppedShare).toBe(0);
      const loads = ([1, 2, 3, 4] as const).map((rank) => statistics[`expertLoad${rank}`]);
      expect(loads.reduce((sum, load) => sum + load, 0)).toBeCloseTo(1, 12);
      expect(loads).toEqual(loads.toSorted((a, b) => b - a));
      const [without, withBalance] = [await learn(plain), await learn(costly)];
      const added = withBalance.loss - without.loss;
      expect(Math.abs(added - statistics.balanceLoss!)).toBeLessThanOrEqual(LOSS_TOLERANCE);
      expect(withBalance.byKeys).toHaveLength(layers);
      withBalance.byKeys.forEach((byKeys, layer) => expect(byKeys).not.toEqual(without.byKeys[layer]));
    });
    plain.dispose();
    costly.dispose();
  });
});

test("no logit depends on a later token or on another sequence, to the bit", async () => {
  const experts = { count: 4, routing: "switch", capacityFactor: 0.5 } as const;
  const model = moeTransformer({ ...base, experts }, { engine });
  const { tokens } = randomBatch(11, 2, 12);
  await withArrays(livelyTensors(model, 5), async (arrays) => {
    const { data } = await model.logits(arrays, tokens, 2);
    // From place 5 on the first sequence is another one, and so is all of the second.
    const changed = tokens.map((token, at) => (at < 5 ? token : (token + 1) % 11));
    const others = await model.logits(arrays, changed, 2);
    expect(others.data.slice(0, 5 * 11)).toEqual(data.slice(0, 5 * 11));
    expect(others.data.slice(5 * 11)).not.toEqual(data.slice(5 * 11));
  });
  model.dispose();
});

test("routers are calibrated to rows of unit spread", async () => {
  const model = moeTransformer({ ...base, experts: { count: 4, router: "l2:beta=auto" } }, { engine });
  const batch = randomBatch(11, 3, 12);
  const tensors = livelyTensors(model, 5);
  const held = await withArrays(tensors, (arrays) => model.calibrate(arrays, batch));
  expect(Object.keys(held)).toEqual([
    "model.layers.0.mlp.router.log_beta",
    "model.layers.1.mlp.router.log_beta",
  ]);
  model.dispose();
});

test("a token meets the chosen experts' parameters alone", () => {
  const model = moeTransformer({ ...base, experts: { count: 8 } });
  const dense = moeTransformer({ ...base, experts: { count: 2 } });
  const perExpert = 3 * 16 * 12;
  expect(model.parameterCount - model.activeParameterCount!).toBe(2 * 6 * perExpert);
  expect(model.parameterCount - dense.parameterCount).toBe(2 * 6 * (perExpert + 16));
  expect(dense.activeParameterCount).toBeUndefined();
  model.dispose();
  dense.dispose();
});

test.each([
  [{ count: 1 }, "2 choices among 1 experts"],
  [{ count: 4, capacityFactor: 0 }, "capacity factor must be a number above zero: 0"],
  [{ count: 4, router: "l2+causal" }, "a router has a similarity alone: 'causal' is a pattern"],
  [{ count: 4, router: "complex" }, "even"],
  [{ count: 0 }, "'experts.count' does not fit: 0"],
] as const)("%o is refused", (experts, words) => {
  expect(() => moeTransformer({ ...base, width: 15, heads: 3, headWidth: 4, experts })).toThrow(words);
});

test("experts need a feed-forward to take the place of", () => {
  expect(() => moeTransformer({ ...base, hidden: undefined as never, feedForward: "none" })).toThrow(
    "experts",
  );
});
