/** @file The κ-stereographic model: laws of gyrovector spaces in curvatures of every sign. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainError, ShapeError } from "../base/errors.ts";
import { tensor64 } from "../base/tensor.ts";
import {
  gyration,
  hyperplaneDistance,
  mobiusAdd,
  mobiusMultiply,
  mobiusScale,
  stereographicDistance,
  stereographicExp,
  stereographicExp0,
  stereographicGradient,
  stereographicInner,
  stereographicLog,
  stereographicLog0,
  stereographicRadius,
  stereographicTransport,
  stereographicTransport0,
} from "./index.ts";
import { combine, dotProduct, norm, scale } from "./vector.ts";

/** Points lie within 0.8 of the ball, where λ ≤ 5.6: some tens of roundings times λ³. */
const TOLERANCE = 1e-12;
const WIDTH = 3;

const curvatures = [-2, -1, -0.3, 0, 0.4, 1];

/** A point within 0.8/√|κ| of the origin, so that no geodesic reaches the cut of the sphere. */
const pointOf = (kappa: number): fc.Arbitrary<Float64Array> =>
  fc
    .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: WIDTH, maxLength: WIDTH })
    .map((values) => scale(0.8 / Math.sqrt(WIDTH * (Math.abs(kappa) || 1)), values));

const nearVector = (value: Float64Array, expected: Float64Array, tolerance: number = TOLERANCE): void => {
  expect(norm(combine(1, value, -1, expected))).toBeLessThanOrEqual(tolerance * (1 + norm(expected)));
};
const near = (value: number, expected: number, tolerance: number = TOLERANCE): void => {
  expect(Math.abs(value - expected)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(expected)));
};
const negative = (x: Float64Array): Float64Array => scale(-1, x);

describe.each(curvatures)("curvature %d", (kappa) => {
  const point = pointOf(kappa);

  test("⊕ cancels from the left, is gyrocommutative and gyroassociative, and gyrations are rotations", () => {
    fc.assert(
      fc.property(point, point, point, (a, b, u) => {
        nearVector(mobiusAdd(negative(a), mobiusAdd(a, b, kappa), kappa), b);
        nearVector(mobiusAdd(a, b, kappa), gyration(a, b, mobiusAdd(b, a, kappa), kappa));
        near(norm(gyration(a, b, u, kappa)), norm(u));
        const left = mobiusAdd(a, mobiusAdd(b, scale(0.2, u), kappa), kappa);
        nearVector(
          left,
          mobiusAdd(mobiusAdd(a, b, kappa), gyration(a, b, scale(0.2, u), kappa), kappa),
          1e-11,
        );
      }),
    );
  });

  test("⊗ repeats ⊕, multiplies and is the matrix product of a multiple of the identity", () => {
    fc.assert(
      fc.property(point, fc.double({ min: -0.9, max: 0.9, noNaN: true }), (x, factor) => {
        const half = mobiusScale(0.5, x, kappa);
        nearVector(mobiusAdd(half, half, kappa), x);
        nearVector(mobiusScale(factor, half, kappa), mobiusScale(factor / 2, x, kappa));
        const identity = tensor64([factor, 0, 0, 0, factor, 0, 0, 0, factor], [WIDTH, WIDTH]);
        nearVector(mobiusMultiply(identity, x, kappa), mobiusScale(factor, x, kappa));
      }),
    );
  });

  test("distance is symmetric, obeys the triangle inequality and is unchanged by translations", () => {
    fc.assert(
      fc.property(point, point, point, (x, y, z) => {
        const direct = stereographicDistance(x, z, kappa);
        near(stereographicDistance(z, x, kappa), direct);
        const detour = stereographicDistance(x, y, kappa) + stereographicDistance(y, z, kappa);
        expect(direct).toBeLessThanOrEqual(detour + TOLERANCE);
        const [movedX, movedZ] = [mobiusAdd(y, x, kappa), mobiusAdd(y, z, kappa)];
        near(stereographicDistance(movedX, movedZ, kappa), direct, 1e-10);
        near(stereographicDistance(new Float64Array(WIDTH), x, kappa), stereographicRadius(x, kappa));
      }),
    );
  });

  test("exp undoes log, log is as long as the distance, and both agree with their forms at the origin", () => {
    fc.assert(
      fc.property(point, point, (x, y) => {
        const way = stereographicLog(x, y, kappa);
        nearVector(stereographicExp(x, way, kappa), y, 1e-11);
        near(Math.sqrt(stereographicInner(x, way, way, kappa)), stereographicDistance(x, y, kappa), 1e-11);
        const origin = new Float64Array(WIDTH);
        nearVector(stereographicLog(origin, y, kappa), stereographicLog0(y, kappa));
        nearVector(stereographicExp(origin, scale(0.5, y), kappa), stereographicExp0(scale(0.5, y), kappa));
      }),
    );
  });

  test("transport keeps inner products, carries log to log, and agrees with its form at the origin", () => {
    fc.assert(
      fc.property(point, point, point, point, (x, y, u, v) => {
        const [movedU, movedV] = [u, v].map((w) => stereographicTransport(x, y, w, kappa));
        near(stereographicInner(y, movedU, movedV, kappa), stereographicInner(x, u, v, kappa), 1e-10);
        const arrived = stereographicTransport(x, y, stereographicLog(x, y, kappa), kappa);
        nearVector(arrived, negative(stereographicLog(y, x, kappa)), 1e-10);
        nearVector(
          stereographicTransport(new Float64Array(WIDTH), y, u, kappa),
          stereographicTransport0(y, u, kappa),
        );
      }),
    );
  });

  test("the Riemannian gradient represents the ordinary one", () => {
    fc.assert(
      fc.property(point, point, point, (x, gradient, v) => {
        near(
          stereographicInner(x, stereographicGradient(x, gradient, kappa), v, kappa),
          dotProduct(gradient, v),
        );
      }),
    );
  });

  test("the distance to a hyperplane is zero on it, odd in its normal, and the least distance to its points", () => {
    fc.assert(
      fc.property(point, point, point, point, (x, p, a, v) => {
        fc.pre(norm(a) > 0.05);
        const distance = hyperplaneDistance(x, p, a, kappa);
        near(hyperplaneDistance(x, p, negative(a), kappa), -distance);
        const inPlane = combine(0.3, v, (-0.3 * dotProduct(v, a)) / dotProduct(a, a), a);
        const q = stereographicExp(p, inPlane, kappa);
        near(hyperplaneDistance(q, p, a, kappa), 0);
        expect(Math.abs(distance)).toBeLessThanOrEqual(stereographicDistance(x, q, kappa) + 1e-9);
      }),
    );
  });
});

describe("the limits", () => {
  test("κ → 0 from both sides is the plane at twice its size", () => {
    fc.assert(
      fc.property(pointOf(1), pointOf(1), (x, y) => {
        const flat = 2 * norm(combine(1, x, -1, y));
        for (const kappa of [-1e-12, 0, 1e-12]) near(stereographicDistance(x, y, kappa), flat, 1e-11);
        nearVector(mobiusAdd(x, y, 0), combine(1, x, 1, y));
      }),
    );
  });

  test("antipodes of the sphere are π/√κ apart", () => {
    const x = [0.3, 0.4];
    const antipode = scale(-1 / (0.25 * 0.5), x);
    near(stereographicDistance(x, antipode, 0.5), Math.PI / Math.sqrt(0.5), 1e-7);
  });

  test("zero vectors have no direction and make no NaN", () => {
    const zero = [0, 0];
    expect(stereographicLog(zero, zero, -1)).toEqual(Float64Array.of(0, 0));
    expect(stereographicExp(zero, zero, -1)).toEqual(Float64Array.of(0, 0));
    expect(mobiusScale(3, zero, -1)).toEqual(Float64Array.of(0, 0));
    expect(mobiusMultiply(tensor64([0, 0, 0, 0], [2, 2]), [0.5, 0], -1)).toEqual(Float64Array.of(0, 0));
    expect(hyperplaneDistance([0.5, 0], zero, zero, -1)).toBe(0);
  });

  test("points outside the ball, and vectors of other widths, are refused", () => {
    expect(() => mobiusAdd([1, 0], [0, 0], -1)).toThrow(/lorentzSpace/);
    expect(() => stereographicDistance([0.9, 0], [0, 0], -2)).toThrow(DomainError);
    expect(() => mobiusAdd([0.1], [0.1, 0.2], -1)).toThrow(ShapeError);
    expect(() => mobiusMultiply(tensor64([1], [1, 1]), [0.1, 0.2], -1)).toThrow(ShapeError);
  });
});
