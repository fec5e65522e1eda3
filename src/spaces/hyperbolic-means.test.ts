/** @file Means of points: three formulas for one point, its symmetries, and where it does not exist. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainError, ShapeError } from "../base/errors.ts";
import { random } from "../base/random.ts";
import {
  applyMatrix,
  einsteinMidpoint,
  gyromidpoint,
  hyperboloidExp,
  hyperboloidLog,
  hyperboloidPoint,
  hyperboloidToKlein,
  kleinToHyperboloid,
  lorentzCentroid,
  minkowskiInner,
  mobiusScale,
  randomLorentzBoost,
  stereographicDistance,
  stereographicLift,
  stereographicProject,
} from "./index.ts";
import { combine, norm, scale } from "./vector.ts";

/** Three formulas of some tens of roundings, with factors γ² ≤ 40 where coordinates reach 3. */
const TOLERANCE = 1e-12;
const WIDTH = 3;

const cloud = fc.array(
  fc.record({
    space: fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: WIDTH, maxLength: WIDTH }),
    weight: fc.double({ min: 0.01, max: 1, noNaN: true }),
  }),
  { minLength: 1, maxLength: 6 },
);
const curvature = fc.double({ min: 0.2, max: 3, noNaN: true });

const nearVector = (value: Float64Array, expected: Float64Array, tolerance: number = TOLERANCE): void => {
  expect(norm(combine(1, value, -1, expected))).toBeLessThanOrEqual(tolerance * (1 + norm(expected)));
};

describe("means of hyperbolic points", () => {
  test("centroid, Einstein midpoint and Möbius gyromidpoint are one point", () => {
    fc.assert(
      fc.property(cloud, curvature, (members, c) => {
        const points = members.map(({ space }) => hyperboloidPoint(space, c));
        const weights = members.map(({ weight }) => weight);
        const centroid = lorentzCentroid(points, weights, c);
        const klein = points.map((point) => hyperboloidToKlein(point, c));
        nearVector(kleinToHyperboloid(einsteinMidpoint(klein, weights, c), c), centroid);
        const ball = points.map((point) => stereographicProject(point, -c));
        nearVector(stereographicLift(gyromidpoint(ball, weights, -c), -c), centroid);
      }),
    );
  });

  test("move with their points under a boost", () => {
    fc.assert(
      fc.property(cloud, curvature, fc.integer(), (members, c, seed) => {
        const matrix = randomLorentzBoost(random(seed, "boost"), WIDTH, 1);
        const points = members.map(({ space }) => hyperboloidPoint(space, c));
        const weights = members.map(({ weight }) => weight);
        const moved = lorentzCentroid(
          points.map((point) => applyMatrix(matrix, point)),
          weights,
          c,
        );
        nearVector(moved, applyMatrix(matrix, lorentzCentroid(points, weights, c)), 1e-11);
      }),
    );
  });

  test("the centroid has the least weighted squared Lorentz distance", () => {
    fc.assert(
      fc.property(
        cloud,
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: WIDTH, maxLength: WIDTH }),
        (members, away) => {
          const points = members.map(({ space }) => hyperboloidPoint(space, 1));
          const weights = members.map(({ weight }) => weight);
          const cost = (centre: Float64Array): number =>
            points.reduce((sum, point, index) => {
              const chord = combine(1, point, -1, centre);
              return sum + weights[index] * minkowskiInner(chord, chord);
            }, 0);
          const centroid = lorentzCentroid(points, weights, 1);
          const other = hyperboloidPoint(combine(1, centroid.subarray(1), 0.3, away), 1);
          expect(cost(centroid)).toBeLessThanOrEqual(cost(other) + TOLERANCE * (1 + cost(other)));
        },
      ),
    );
  });

  test("of two points with equal weight is the middle of their geodesic", () => {
    const [x, y] = [hyperboloidPoint([1, -2, 0.5], 0.7), hyperboloidPoint([0, 1, 1], 0.7)];
    const middle = hyperboloidExp(x, scale(0.5, hyperboloidLog(x, y, 0.7)), 0.7);
    nearVector(lorentzCentroid([x, y], [1, 1], 0.7), middle);
  });

  test("of one point is that point", () => {
    const point = Float64Array.of(0.3, -0.2, 0.1);
    for (const kappa of [-1, 0, 1]) nearVector(gyromidpoint([point], [0.3], kappa), point);
  });
});

describe("the gyromidpoint beyond hyperbolic space", () => {
  test("in the plane is the weighted mean", () => {
    nearVector(
      gyromidpoint(
        [
          [0, 0, 4],
          [8, 0, 0],
        ],
        [3, 1],
        0,
      ),
      Float64Array.of(2, 0, 3),
    );
  });

  test("is ½ ⊗ (S/T) on the near half of the sphere", () => {
    const points = [
      [0.1, 0.2],
      [-0.3, 0.1],
    ];
    const sum = combine(2 / (1 + 0.05), points[0], 4 / (1 + 0.1), points[1]);
    const total = 2 / 1.05 - 1 + 2 * (2 / 1.1 - 1);
    nearVector(gyromidpoint(points, [1, 2], 1), mobiusScale(0.5, scale(1 / total, sum), 1));
  });

  test("on the far half of the sphere stays among its points instead of at their antipode", () => {
    const points = [
      [3, 0.2],
      [3, -0.2],
    ];
    const mean = gyromidpoint(points, [1, 1], 1);
    expect(stereographicDistance(mean, points[0], 1)).toBeLessThan(0.1);
    expect(mean[1]).toBeCloseTo(0, 15);
  });

  test("has no answer where points of the sphere balance", () => {
    expect(() =>
      gyromidpoint(
        [
          [1, 0],
          [-1, 0],
        ],
        [1, 1],
        1,
      ),
    ).toThrow(DomainError);
  });
});

describe("weights", () => {
  test("must be one a point, finite, at least zero and not all zero", () => {
    const points = [hyperboloidPoint([1], 1), hyperboloidPoint([2], 1)];
    expect(() => lorentzCentroid(points, [1], 1)).toThrow(ShapeError);
    expect(() => lorentzCentroid([], [], 1)).toThrow(ShapeError);
    for (const weights of [
      [0, 0],
      [1, -1],
      [Number.NaN, 1],
      [Infinity, 1],
    ]) {
      expect(() => lorentzCentroid(points, weights, 1)).toThrow(DomainError);
    }
    expect(() => einsteinMidpoint([[1, 0]], [1], 1)).toThrow(/hyperboloidToKlein/);
  });
});
