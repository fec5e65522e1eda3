/** @file The hyperboloid: distances against exact arithmetic, maps against their inverses, everything against boosts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainError, NumbersError, ShapeError } from "../base/errors.ts";
import { random } from "../base/random.ts";
import {
  applyMatrix,
  hyperboloidDistance,
  hyperboloidExp,
  hyperboloidLog,
  hyperboloidPoint,
  hyperboloidRadius,
  hyperboloidTransport,
  lorentzBoost,
  minkowskiInner,
  randomLorentzBoost,
  stereographicDistance,
  stereographicLift,
  stereographicProject,
} from "./index.ts";
import { spaceDistance } from "./hyperboloid.ts";
import { combine, norm } from "./vector.ts";

/** Coordinates here reach 10, inner products 100 of them squared: 1e-16 × 1e2 × some tens of roundings. */
const TOLERANCE = 1e-12;
const WIDTH = 3;

const space = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: WIDTH, maxLength: WIDTH });
const curvature = fc.double({ min: 0.2, max: 3, noNaN: true });
const boost = fc.integer().map((seed) => randomLorentzBoost(random(seed, "boost"), WIDTH));

const near = (value: number, expected: number, tolerance: number = TOLERANCE): void => {
  expect(Math.abs(value - expected)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(expected)));
};
const nearVector = (value: Float64Array, expected: Float64Array, tolerance: number = TOLERANCE): void => {
  expect(norm(combine(1, value, -1, expected))).toBeLessThanOrEqual(tolerance * (1 + norm(expected)));
};

/** The part of an ambient vector that is tangent at x. */
function tangent(x: Float64Array, v: ArrayLike<number>, c: number): Float64Array {
  return combine(1, v, c * minkowskiInner(x, v), x);
}

/** ⌊√n⌋ by Newton's method. */
function rootOf(n: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(n.toString(2).length / 2));
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** Distance of points over whole space coordinates for c = 1, from ½(x₀y₀ − x·y − 1) = sinh²(d/2) to 80 digits. */
function wholeDistance(s: readonly number[], t: readonly number[]): number {
  const scaleFactor = 10n ** 80n;
  const product = (a: readonly number[], b: readonly number[]): bigint =>
    a.reduce((sum, value, d) => sum + BigInt(value) * BigInt(b[d]), 0n);
  const times = rootOf((1n + product(s, s)) * (1n + product(t, t)) * scaleFactor ** 2n);
  const excess = times - (product(s, t) + 1n) * scaleFactor;
  return 2 * Math.asinh(Math.sqrt(Number(excess) / Number(scaleFactor) / 2));
}

describe("distance on the hyperboloid", () => {
  test("is arcosh(−c⟨x, y⟩_L)/√c where that keeps its digits", () => {
    fc.assert(
      fc.property(space, space, curvature, (s, t, c) => {
        const [x, y] = [hyperboloidPoint(s, c), hyperboloidPoint(t, c)];
        const z = -c * minkowskiInner(x, y);
        fc.pre(z > 1.5);
        near(hyperboloidDistance(x, y, c), Math.acosh(z) / Math.sqrt(c));
      }),
    );
  });

  test("keeps all digits for near points at large radii, where arcosh loses them", () => {
    for (const radius of [1, 4, 8, 16]) {
      const angleRad = 1e-6;
      const s = Math.sinh(radius);
      const x = hyperboloidPoint([s, 0], 1);
      const y = hyperboloidPoint([s * Math.cos(angleRad), s * Math.sin(angleRad)], 1);
      const exact = 2 * Math.asinh(s * Math.sin(angleRad / 2));
      // The coordinates of y are themselves rounded, by 1e-16 of 1/1e-6.
      near(hyperboloidDistance(x, y, 1) / exact, 1, 1e-9);
      const naive = Math.acosh(Math.max(1, -minkowskiInner(x, y)));
      expect(Math.abs(naive / exact - 1)).toBeGreaterThan(1e-6);
    }
  });

  test("is right to eight roundings for any whole coordinates, by exact integer arithmetic", () => {
    const coordinate = fc.integer({ min: -1e7, max: 1e7 });
    const point = fc.array(coordinate, { minLength: WIDTH, maxLength: WIDTH });
    const nudge = fc.array(fc.integer({ min: -2, max: 2 }), { minLength: WIDTH, maxLength: WIDTH });
    const nearOrFar = fc.oneof(
      fc.tuple(point, point),
      fc.tuple(point, nudge).map(([s, by]) => [s, s.map((value, d) => value + by[d])] as const),
      fc
        .tuple(nudge, fc.integer({ min: -1e6, max: 1e6 }))
        .map(([s, by]) => [s, s.map((value) => value * by)] as const),
    );
    fc.assert(
      fc.property(nearOrFar, ([s, t]) => {
        const exact = wholeDistance(s, t);
        const distance = spaceDistance(s, t, 1);
        expect(Math.abs(distance - exact)).toBeLessThanOrEqual(8 * Number.EPSILON * exact);
      }),
      // Near points almost on one ray: what parts them in direction is 1e-15 of what parts them at all.
      {
        examples: [
          [
            [
              [-7697945, -10, -7217410],
              [-7697946, -10, -7217411],
            ],
          ],
          [
            [
              [-9999984, 1, -9999999],
              [-9999983, 1, -9999998],
            ],
          ],
          [
            [
              [9999984, -9999990, -9999982],
              [9999986, -9999992, -9999984],
            ],
          ],
        ],
      },
    );
  });

  test("along a ray is the difference of the radii", () => {
    for (const [r, s] of [
      [0, 1e-9],
      [8, 8 + 1e-9],
      [18, 18.5],
      [30, 0],
    ]) {
      const distance = hyperboloidDistance(
        hyperboloidPoint([Math.sinh(r), 0], 1),
        hyperboloidPoint([Math.sinh(s), 0], 1),
        1,
      );
      // sinh rounds to 1e-16, which is 1e-16 of radius far out.
      expect(Math.abs(distance - Math.abs(r - s))).toBeLessThanOrEqual(1e-15 * (1 + r + s));
    }
  });

  test("and radius are unchanged by boosts, radius only as a distance from the moved origin", () => {
    fc.assert(
      fc.property(space, space, curvature, boost, (s, t, c, matrix) => {
        const [x, y] = [hyperboloidPoint(s, c), hyperboloidPoint(t, c)];
        const [movedX, movedY] = [applyMatrix(matrix, x), applyMatrix(matrix, y)];
        // The boosted coordinates carry rounding of e^η; a distance near 0 shows its square root in digits.
        near(hyperboloidDistance(movedX, movedY, c), hyperboloidDistance(x, y, c), 1e-9);
        const origin = applyMatrix(matrix, hyperboloidPoint(new Float64Array(WIDTH), c));
        near(hyperboloidDistance(movedX, origin, c), hyperboloidRadius(x, c), 1e-9);
      }),
    );
  });

  test("is the distance in the ball", () => {
    fc.assert(
      fc.property(space, space, curvature, (s, t, c) => {
        const [x, y] = [hyperboloidPoint(s, c), hyperboloidPoint(t, c)];
        const inBall = stereographicDistance(stereographicProject(x, -c), stereographicProject(y, -c), -c);
        near(inBall, hyperboloidDistance(x, y, c));
      }),
    );
  });
});

describe("maps of the hyperboloid", () => {
  test("exp undoes log, and log is as long as the distance", () => {
    fc.assert(
      fc.property(space, space, curvature, (s, t, c) => {
        const [x, y] = [hyperboloidPoint(s, c), hyperboloidPoint(t, c)];
        const way = hyperboloidLog(x, y, c);
        nearVector(hyperboloidExp(x, way, c), y, 1e-11);
        near(Math.sqrt(Math.max(0, minkowskiInner(way, way))), hyperboloidDistance(x, y, c), 1e-7);
        near(minkowskiInner(x, way), 0, 1e-11);
      }),
    );
  });

  test("log undoes exp", () => {
    fc.assert(
      fc.property(space, space, curvature, (s, t, c) => {
        const x = hyperboloidPoint(s, c);
        const way = tangent(x, [0, ...t], c);
        fc.pre(c * minkowskiInner(way, way) < 9);
        nearVector(hyperboloidLog(x, hyperboloidExp(x, way, c), c), way, 1e-9);
      }),
    );
  });

  test("transport keeps inner products, leads to tangent vectors, carries log to log, and is undone by the way back", () => {
    fc.assert(
      fc.property(space, space, space, curvature, (s, t, direction, c) => {
        const [x, y] = [hyperboloidPoint(s, c), hyperboloidPoint(t, c)];
        const v = tangent(x, [0, ...direction], c);
        const moved = hyperboloidTransport(x, y, v, c);
        near(minkowskiInner(moved, moved), minkowskiInner(v, v), 1e-10);
        near(minkowskiInner(y, moved), 0, 1e-10);
        nearVector(hyperboloidTransport(y, x, moved, c), v, 1e-10);
        const back = hyperboloidLog(y, x, c);
        nearVector(
          hyperboloidTransport(x, y, hyperboloidLog(x, y, c), c),
          back.map((value) => -value),
          1e-10,
        );
      }),
    );
  });

  test("lifting to the surface and projecting to the model undo each other in both curvatures", () => {
    fc.assert(
      fc.property(space, curvature, (s, c) => {
        const x = hyperboloidPoint(s, c);
        nearVector(stereographicLift(stereographicProject(x, -c), -c), x);
        nearVector(stereographicProject(stereographicLift(s, c), c), Float64Array.from(s));
      }),
    );
  });
});

describe("boosts", () => {
  test("keep Minkowski inner products, and the opposite rapidity undoes them", () => {
    fc.assert(
      fc.property(space, space, fc.double({ min: -2, max: 2, noNaN: true }), (s, direction, rapidity) => {
        fc.pre(norm(direction) > 1e-3);
        const u = Float64Array.of(0.3, ...s);
        const v = Float64Array.of(-1, ...direction);
        const matrix = lorentzBoost(rapidity, direction);
        near(minkowskiInner(applyMatrix(matrix, u), applyMatrix(matrix, v)), minkowskiInner(u, v));
        nearVector(applyMatrix(lorentzBoost(-rapidity, direction), applyMatrix(matrix, u)), u);
      }),
    );
  });

  test("move the origin by their rapidity", () => {
    const moved = applyMatrix(lorentzBoost(1.7, [3, 4]), hyperboloidPoint([0, 0], 4));
    near(hyperboloidRadius(moved, 4), 1.7 / 2);
    near(moved[2] / moved[1], 4 / 3);
  });

  test("need a direction", () => {
    expect(() => lorentzBoost(1, [0, 0])).toThrow(DomainError);
    expect(() => lorentzBoost(Number.NaN, [1, 0])).toThrow(DomainError);
  });
});

describe("what is not a point is refused", () => {
  test("off the surface, on the lower sheet, of the wrong width, not a number, at no curvature", () => {
    const x = hyperboloidPoint([1, 2], 1);
    expect(() => hyperboloidDistance(x, [1, 2, 2], 1)).toThrow(/hyperboloidPoint/);
    expect(() =>
      hyperboloidDistance(
        x,
        x.map((value) => -value),
        1,
      ),
    ).toThrow(DomainError);
    expect(() => hyperboloidDistance(x, hyperboloidPoint([1], 1), 1)).toThrow(ShapeError);
    expect(() => hyperboloidRadius([Number.NaN, 0], 1)).toThrow(NumbersError);
    expect(() => hyperboloidPoint([1], -1)).toThrow(DomainError);
    expect(() => applyMatrix(lorentzBoost(1, [1, 0]), [1, 0])).toThrow(ShapeError);
    expect(() => stereographicLift([0.5], 0)).toThrow(DomainError);
    expect(() => stereographicProject([-1, 0], 1)).toThrow(DomainError);
  });

  test("points rounded to float32 are points", () => {
    const x = Float64Array.from(hyperboloidPoint([1.1, 2.3], 1), Math.fround);
    near(hyperboloidRadius(x, 1), Math.asinh(Math.hypot(1.1, 2.3)), 1e-6);
  });
});
