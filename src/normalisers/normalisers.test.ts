import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { none, type Normaliser, normalisers, type RowContext, sigmoid, softmax } from "./index.ts";

const context: RowContext = { keys: 8, parameter: undefined };
const rows = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 8 });
const total = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

describe("softmax", () => {
  test("is e^{s_j}/Σ e^{s_m}, and lse is ln Σ e^{s_m}", () => {
    const scores = Float64Array.of(0.5, -1, 2);
    const mass = total(scores.map(Math.exp));
    const { weights, logSumExp } = softmax().forward(scores, context);
    weights.forEach((weight, j) => expect(weight).toBeCloseTo(Math.exp(scores[j]) / mass, 15));
    expect(logSumExp).toBeCloseTo(Math.log(mass), 14);
  });

  test("has weights of sum one that a shift of the row leaves as they are", () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: -1000, max: 1000 }), (row, shift) => {
        const scores = Float64Array.from(row);
        const { weights } = softmax().forward(scores, context);
        const shifted = softmax().forward(
          scores.map((score) => score + shift),
          context,
        ).weights;
        expect(Math.abs(total(weights) - 1)).toBeLessThan(1e-14);
        // Rounding of s + 1000, 1e-13, is what the exponential sees.
        weights.forEach((weight, j) => expect(Math.abs(shifted[j] - weight)).toBeLessThan(1e-12));
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test("keeps its numbers for scores of any size", () => {
    const { weights, logSumExp } = softmax().forward(Float64Array.of(1e300, -1e300, 1e300), context);
    expect([...weights]).toEqual([0.5, 0, 0.5]);
    expect(logSumExp).toBe(1e300);
  });

  test("a sink is one more score whose value is nothing", () => {
    fc.assert(
      fc.property(rows, fc.double({ min: -20, max: 40, noNaN: true }), (row, sink) => {
        const withSink = softmax({ sink }).forward(Float64Array.from(row), { ...context, parameter: sink });
        const withColumn = softmax().forward(Float64Array.from([...row, sink]), context);
        withSink.weights.forEach((weight, j) => expect(weight).toBeCloseTo(withColumn.weights[j], 13));
        expect(withSink.logSumExp).toBeCloseTo(withColumn.logSumExp!, 12);
      }),
      { seed: 2, numRuns: 200 },
    );
  });

  test("an empty row has lse −∞, with a sink as well", () => {
    expect(softmax().forward(new Float64Array(), context)).toEqual({
      weights: new Float64Array(),
      logSumExp: -Infinity,
    });
    expect(softmax({ sink: 3 }).forward(new Float64Array(), { keys: 8, parameter: 3 }).logSumExp).toBe(
      -Infinity,
    );
  });
});

describe("sigmoid", () => {
  test("without a bias, a row of zero scores has about unit mass: S/(S + 1)", () => {
    for (const keys of [1, 8, 100]) {
      const { weights, logSumExp } = sigmoid().forward(new Float64Array(keys), {
        keys,
        parameter: undefined,
      });
      expect(total(weights)).toBeCloseTo(keys / (1 + keys), 12);
      expect(logSumExp).toBeUndefined();
    }
  });

  test("a number is the whole bias, a learned one is added to −ln S", () => {
    const scores = Float64Array.of(0.3, -2);
    const logistic = (x: number): number => 0.5 * (1 + Math.tanh(x / 2));
    const fixed = sigmoid({ bias: -1 }).forward(scores, { keys: 8, parameter: -1 }).weights;
    const learned = sigmoid({ bias: "learned" }).forward(scores, { keys: 8, parameter: 0.5 }).weights;
    scores.forEach((score, j) => {
      expect(fixed[j]).toBeCloseTo(logistic(score - 1), 14);
      expect(learned[j]).toBeCloseTo(logistic(score + 0.5 - Math.log(8)), 14);
    });
  });

  test("does not overflow", () => {
    const { weights } = sigmoid().forward(Float64Array.of(1e6, -1e6), context);
    expect([...weights]).toEqual([1, 0]);
  });
});

describe("none", () => {
  test("passes scores, or their exponentials", () => {
    const scores = Float64Array.of(0.3, -2);
    expect(none().forward(scores, context).weights).toEqual(scores);
    expect(none({ map: "exp" }).forward(scores, context).weights).toEqual(scores.map(Math.exp));
    expect(none({ map: "identity" }).nonNegative).toBe(false);
    expect(none({ map: "exp" }).nonNegative).toBe(true);
  });
});

const cases: readonly {
  readonly name: string;
  readonly normaliser: Normaliser;
  readonly parameter?: number;
}[] = [
  { name: "softmax", normaliser: softmax() },
  { name: "softmax with a sink", normaliser: softmax({ sink: "learned" }), parameter: 0.7 },
  { name: "sigmoid", normaliser: sigmoid() },
  { name: "sigmoid with a learned bias", normaliser: sigmoid({ bias: "learned" }), parameter: -0.4 },
  { name: "none", normaliser: none() },
  { name: "none with exp", normaliser: none({ map: "exp" }) },
];

/** Fourth-order differences with h = 1e-3: h⁴ = 1e-12 and 1e-16/h. */
const GRADIENT_TOLERANCE = 1e-10;

describe("gradients are central differences", () => {
  test.each(cases)("$name", ({ normaliser, parameter }) => {
    const scores = Float64Array.of(0.5, -1, 2, 0.1);
    const gradients = Float64Array.of(1, -0.3, 0.2, 2);
    const loss = (moved: Float64Array, value: number | undefined): number =>
      total(
        normaliser
          .forward(moved, { keys: 8, parameter: value })
          .weights.map((weight, j) => weight * gradients[j]),
      );
    const slope = (f: (step: number) => number, h = 1e-3): number =>
      (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
    const actual = normaliser.backward(scores, gradients, { keys: 8, parameter });
    scores.forEach((_, place) => {
      const along = slope((step) =>
        loss(
          scores.map((score, j) => score + (j === place ? step : 0)),
          parameter,
        ),
      );
      expect(Math.abs(actual.scores[place] - along)).toBeLessThan(GRADIENT_TOLERANCE);
    });
    const byParameter = slope((step) => loss(scores, parameter === undefined ? undefined : parameter + step));
    // Without a parameter nobody reads its gradient.
    const expected = parameter === undefined ? actual.parameter : byParameter;
    expect(Math.abs(actual.parameter - expected)).toBeLessThan(GRADIENT_TOLERANCE);
  });

  test.each(cases)("$name: of an empty row there are none", ({ normaliser, parameter }) => {
    const { scores, parameter: own } = normaliser.backward(new Float64Array(), new Float64Array(), {
      keys: 8,
      parameter,
    });
    expect([scores.length, own + 0]).toEqual([0, 0]);
  });
});

test("what a normaliser says of itself holds", () => {
  const scores = Float64Array.of(0.5, -1, 2);
  for (const { normaliser, parameter } of cases) {
    const weights = (shift: number): Float64Array =>
      normaliser.forward(
        scores.map((score) => score + shift),
        { keys: 8, parameter },
      ).weights;
    expect(
      weights(0).every((weight) => weight >= 0),
      `signs of ${normaliser.name}`,
    ).toBe(normaliser.nonNegative);
    const change = Math.max(...weights(1).map((weight, j) => Math.abs(weight - weights(0)[j])));
    expect(change < 1e-14, `shift of ${normaliser.name}`).toBe(normaliser.shiftInvariant);
  }
  expect(normalisers).toHaveLength(3);
});
