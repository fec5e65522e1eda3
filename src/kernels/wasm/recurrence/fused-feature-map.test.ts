/**
 * @file Feature maps on an engine against their f64 reference: features and gradients by rows and weights at odd sizes, on
 * one thread and on two, on memory full of NaN; the golden text of two of them.
 */
import { afterAll, describe, expect, test } from "vitest";
import { random } from "../../../base/random.ts";
import { narrow, sizeOf, type Tensor, type Tensor64, tensor, widen } from "../../../base/tensor.ts";
import { elu1, type FeatureMap, hedgehog, mapRows, relu, taylor2 } from "../../../recurrence/feature-map.ts";
import { checkCall } from "../../../recurrence/check-call.ts";
import { parseRecurrence } from "../../../recurrence/index.ts";
import { randomInputs } from "../../../recurrence/rule-fixtures.ts";
import { printWat } from "../assembler/print-wat.ts";
import { hasRelaxedSimd } from "../engine/engine.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { featureMapModule } from "./feature-map-kernel.ts";
import { type ComputedMap } from "./feature-map-spec.ts";
import { fusedFeatureMap, fusedFeatureMapBackward } from "./fused-feature-map.ts";
import { liftedBackward, liftedForward } from "./lifted-recurrence.ts";

/**
 * Scores of up to 30 are sums of 64 products and rounded by 30·2⁻²⁴ = 2e-6, by as much of itself e^s is wrong; gradients are
 * sums of some hundred products, 2⁻²⁴ each. Over the largest number of the tensor.
 */
const TOLERANCE = 1e-5;
/** One e^x of float32 to 2 units in the last place, its sum and a quotient: of scores that float32 holds exactly. */
const OF_EXACT_SCORES = 1e-6;

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  nodeEngine({ threads: 2, relaxed: false }),
  ...(hasRelaxedSimd() ? [nodeEngine({ threads: 1 }), nodeEngine({ threads: 2 })] : []),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});
const [one] = engines;

const references: Readonly<Record<ComputedMap, FeatureMap>> = { elu1, relu, taylor2, hedgehog };

interface Sizes {
  readonly batch?: number;
  readonly heads?: number;
  readonly keyHeads?: number;
  readonly tokens: number;
  readonly width: number;
}

function draw(seed: string, shape: readonly number[]): Tensor {
  return tensor(random("feature-map", seed).normals(sizeOf(shape)), shape);
}

function expectClose(what: string, expected: Tensor64, found: Tensor): void {
  expect([what, found.shape]).toEqual([what, expected.shape]);
  let [worst, largest] = [0, 1];
  expected.data.forEach((value, place) => {
    const error = Math.abs(value - found.data[place]);
    worst = error <= worst ? worst : error;
    largest = Math.max(largest, Math.abs(value));
  });
  const error = worst / largest;
  expect([what, error <= TOLERANCE ? "close" : error]).toEqual([what, "close"]);
}

/** Holds a map against the reference on all engines; those of two threads give the bits of one. */
function expectReference(map: ComputedMap, sizes: Sizes): void {
  const { batch = 1, heads = 2, keyHeads = heads, tokens, width } = sizes;
  const isLearned = map === "hedgehog";
  const x = draw(`x ${tokens} ${width}`, [batch, keyHeads, tokens, width]);
  const weight = isLearned ? draw(`W ${width}`, [heads, width, width]) : undefined;
  const inputs = { x, ...(weight === undefined ? {} : { weight }) };
  const expected = mapRows(
    references[map],
    widen(x),
    isLearned ? heads : keyHeads,
    weight === undefined ? undefined : widen(weight),
  );
  const gradient = draw("gradient", expected.rows.shape);
  const pulled = expected.pullBack(widen(gradient));
  const results = engines.map((engine) => {
    engine.arena.poison();
    const features = fusedFeatureMap(engine, map, inputs);
    engine.arena.poison();
    // Of the reference's features, so that each direction is held on its own.
    const gradients = fusedFeatureMapBackward(engine, map, inputs, narrow(expected.rows), gradient);
    return { features, ...gradients };
  });
  const name = `${map} of ${tokens} × ${width}`;
  for (const { features, x: dx, weight: dWeight } of results) {
    expectClose(`${name}: features`, expected.rows, features);
    expectClose(`${name}: dx`, pulled.gradient, dx);
    if (isLearned) expectClose(`${name}: dW`, pulled.weight!, dWeight!);
  }
  for (let pair = 0; pair < results.length; pair += 2) {
    const [first, second] = results.slice(pair).map(Object.entries<Tensor>);
    const differing = first.filter(
      ([, { data }], at) => !data.every((value, place) => Object.is(value, second[at][1].data[place])),
    );
    expect(differing.map(([part]) => `${name}: ${part}`)).toEqual([]);
  }
}

const lengths = [1, 3, 63, 65, 100];
/** Half of them with each length, in turn. */
const widths = [1, 12, 8, 3, 20, 64];

describe.each(["elu1", "relu", "taylor2", "hedgehog"] as const)("%s is its reference's", (map) => {
  test.each(lengths.map((tokens, turn) => ({ tokens, turn })))("$tokens tokens", ({ tokens, turn }) => {
    for (const [at, width] of widths.entries()) {
      // The square of 64 numbers is larger than all other features together.
      const isShort = map !== "taylor2" || width < 64 || tokens === 3;
      if (at % 2 === turn % 2 && isShort) expectReference(map, { tokens, width });
    }
  });

  test("keys that query heads share, of few and of many batch entries", () => {
    expectReference(map, { batch: 3, heads: 6, keyHeads: 2, tokens: 70, width: 12 });
    expectReference(map, { batch: 17, heads: 2, keyHeads: 1, tokens: 5, width: 8 });
    expectReference(map, { heads: 3, keyHeads: 1, tokens: 600, width: 8 });
  });
});

test("scores whose powers float32 does not hold are compared with the largest and the smallest of their row", () => {
  const width = 5;
  const weight = tensor(
    Float32Array.from({ length: width ** 2 }, (_, place) => (place % (width + 1) === 0 ? 1 : 0)),
    [1, width, width],
  );
  const rows = [
    [-1000, 0, 1000, 999, -999],
    [1e4, 1e4, 1e4, 1e4, 1e4],
    [-300, -301, -302, -300.5, -310],
  ];
  const x = tensor(rows.flat(), [1, 1, rows.length, width]);
  const { data } = fusedFeatureMap(one, "hedgehog", { x, weight });
  const expected = mapRows(hedgehog, widen(x), 1, widen(weight)).rows.data;
  data.forEach((value, place) => expect(Math.abs(value - expected[place])).toBeLessThan(OF_EXACT_SCORES));
});

test.each(["linear", "linear:map=taylor2,normaliser=none", "linear:map=hedgehog", "linear:map=identity"])(
  "on an engine no number of %s is mapped in f64",
  (selector) => {
    const composition = parseRecurrence(selector);
    const call = checkCall(composition, randomInputs(composition, selector, { tokens: 5 }));
    const lift = (): never => {
      throw new Error("the f64 lift was asked");
    };
    const [kernels, reference] = [{ ...composition.rule, lift }, composition.rule];
    const { out, saved } = liftedForward(one, kernels, call, true);
    expectClose("out", reference.forward(call, "recurrent").out, out);
    const { inputs, parameters } = liftedBackward(one, saved!, { out });
    const expected = reference.backward(call, { out: widen(out) });
    expect(Object.keys({ ...inputs, ...parameters })).toEqual(
      Object.keys({ ...expected.inputs, ...expected.parameters }),
    );
  },
);

test.each([
  ["hedgehog", 10],
  ["taylor2", 5],
] as const)("%s is the golden text", async (map, width) => {
  const module = featureMapModule({ map, width, relaxed: true, shared: true });
  await expect(printWat(module, /Features|Halves/)).toMatchFileSnapshot(
    `../../../../test/golden/feature-map-${map}.wat`,
  );
});
