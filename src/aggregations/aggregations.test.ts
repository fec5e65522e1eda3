import { describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import {
  applyMatrix,
  einsteinMidpoint,
  hyperboloidToKlein,
  kleinToHyperboloid,
  randomLorentzBoost,
} from "../spaces/index.ts";
import { type Aggregation, centroid, maxplus, mean } from "./index.ts";

const width = 3;
const stream = random("aggregations");
const values = Array.from({ length: 5 }, () => Float64Array.from(stream.normals(width)));
const weights = Float64Array.of(0.1, 0.3, 0.05, 0.35, 0.2);

const join = (
  aggregation: Aggregation,
  by: Float64Array,
  rows: readonly Float64Array[],
  parameter?: number,
): number[] => [...aggregation.forward(by, rows, { width, parameter })];

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let e = 0; e < expected.length; e++)
    expect(Math.abs(actual[e] - expected[e])).toBeLessThanOrEqual(tolerance);
}

const lifted = (row: ArrayLike<number>, c: number): number[] => [
  Math.sqrt(1 / c + Array.from(row).reduce((sum, x) => sum + x * x, 0)),
  ...Array.from(row),
];

describe("mean", () => {
  test("is Σ w v", () => {
    const expected = [0, 1, 2].map((e) => values.reduce((sum, value, j) => sum + weights[j] * value[e], 0));
    expectClose(join(mean(), weights, values), expected, 1e-15);
  });
});

/** Some thirty roundings of numbers up to 3. */
const ROUNDING = 1e-14;

describe("centroid", () => {
  test.each([1, 0.3, 4])("is Σ w v̂ divided by √c times its Minkowski length, c = %d", (c) => {
    const sums = [0, 1, 2, 3].map((axis) =>
      values.reduce((sum, value, j) => sum + weights[j] * lifted(value, c)[axis], 0),
    );
    const length = Math.sqrt(sums[0] ** 2 - sums[1] ** 2 - sums[2] ** 2 - sums[3] ** 2);
    const expected = sums.slice(1).map((x) => x / (Math.sqrt(c) * length));
    expectClose(join(centroid(), weights, values, c), expected, ROUNDING);
  });

  test.each([1, 0.3])("is the Einstein midpoint of the Klein model, c = %d", (c) => {
    const points = values.map((value) => hyperboloidToKlein(lifted(value, c), c));
    const midpoint = kleinToHyperboloid(einsteinMidpoint(points, weights, c), c);
    expectClose(join(centroid(), weights, values, c), Array.from(midpoint).slice(1), 1e-13);
  });

  test("moves with a Lorentz boost of all values", () => {
    for (const c of [1, 0.25]) {
      const boost = randomLorentzBoost(random("centroid", c), width);
      const boosted = values.map((value) =>
        Float64Array.from(applyMatrix(boost, lifted(value, c))).subarray(1),
      );
      const moved = applyMatrix(boost, lifted(join(centroid(), weights, values, c), c));
      expectClose(join(centroid(), weights, boosted, c), Array.from(moved).slice(1), 1e-12);
    }
  });

  test("does not change when all weights are multiplied by one number, however small", () => {
    const expected = join(centroid(), weights, values, 1);
    for (const factor of [7, 1e-12, 1e-290]) {
      expectClose(
        join(
          centroid(),
          weights.map((weight) => weight * factor),
          values,
          1,
        ),
        expected,
        ROUNDING,
      );
    }
  });

  test("tends to the weighted mean as c → 0", () => {
    const flat = join(mean(), weights, values);
    expectClose(join(centroid(), weights, values, 1e-10), flat, 1e-9);
  });

  test("of one point is that point, however far", () => {
    for (const size of [1, 1e4, 1e8, 1e100]) {
      const far = values[0].map((x) => x * size);
      expectClose(
        join(centroid(), Float64Array.of(0.7), [far], 1).map((x) => x / size),
        values[0],
        ROUNDING,
      );
    }
  });

  test("of a row without weight is zero, and so is its gradient", () => {
    const none = new Float64Array(5);
    expect(join(centroid(), none, values, 1)).toEqual([0, 0, 0]);
    const gradients = values.map(() => new Float64Array(width));
    const backward = centroid().backward(none, values, Float64Array.of(1, 2, 3), gradients, {
      width,
      parameter: 1,
    });
    expect([...backward.weights, backward.parameter, ...gradients.flatMap((row) => [...row])]).toEqual(
      Array.from({ length: 21 }, () => 0),
    );
  });
});

describe("maxplus", () => {
  const scores = Float64Array.of(0.5, -1, 2, 0, 1);

  test("is max_j(s_j + v_j), coordinate by coordinate", () => {
    const expected = [0, 1, 2].map((e) => Math.max(...values.map((value, j) => scores[j] + value[e])));
    expect(join(maxplus(), scores, values)).toEqual(expected);
  });

  test("is a semiring product: it commutes with a shift of scores or of values", () => {
    const plain = join(maxplus(), scores, values);
    expectClose(
      join(
        maxplus(),
        scores.map((s) => s + 2),
        values,
      ),
      plain.map((x) => x + 2),
      ROUNDING,
    );
    expectClose(
      join(
        maxplus(),
        scores,
        values.map((row) => row.map((v) => v + 2)),
      ),
      plain.map((x) => x + 2),
      ROUNDING,
    );
  });

  test("gives its gradient to the first key that attains the maximum", () => {
    const rows = [Float64Array.of(1), Float64Array.of(2), Float64Array.of(2)];
    const gradients = rows.map(() => new Float64Array(1));
    const context = { width: 1, parameter: undefined };
    const { weights: byScore } = maxplus().backward(
      Float64Array.of(1, 0, 0),
      rows,
      Float64Array.of(5),
      gradients,
      context,
    );
    expect([...byScore]).toEqual([5, 0, 0]);
    expect(gradients.map((row) => row[0])).toEqual([5, 0, 0]);
  });
});

test.each([mean(), centroid(), maxplus()])("$name: a row without keys gives zeros", (aggregation) => {
  expect(join(aggregation, new Float64Array(), [], 1)).toEqual([0, 0, 0]);
  const { weights: byWeight } = aggregation.backward(new Float64Array(), [], Float64Array.of(1, 2, 3), [], {
    width,
    parameter: 1,
  });
  expect(byWeight).toHaveLength(0);
});
