/** @file One suite for every space: what a distance, a Riemannian gradient and a step must be to each other. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainError, NumbersError, ShapeError } from "../base/errors.ts";
import {
  complexSpace,
  euclideanSpace,
  hermitianInner,
  hyperboloidDistance,
  lorentzSpace,
  poincareSpace,
  polarCoordinates,
  productSpace,
  type Space,
  spaceDefinitions,
  sphereSpace,
  stereographicDistance,
  stereographicExp0,
} from "./index.ts";
import { combine, dotProduct, norm, scale } from "./vector.ts";

/** A distance is some fifty roundings of 1.1e-16. */
const ROUNDING = 1e-13;
/** Central differences of a distance at least 0.1 long with h = 1e-5: truncation h²/d², rounding 1e-16/h. */
const DIFFERENCE_TOLERANCE = 1e-6;
const STEP = 1e-5;
const WIDTH = 4;

const spaces: readonly (readonly [string, Space])[] = [
  ["euclidean", euclideanSpace()],
  ["sphere", sphereSpace()],
  ["poincare with c = 1", poincareSpace()],
  ["poincare with c = 0.3", poincareSpace({ c: 0.3 })],
  ["lorentz with c = 1", lorentzSpace()],
  ["lorentz with c = 2.5", lorentzSpace({ c: 2.5 })],
  ["complex", complexSpace()],
  [
    "a weighted product",
    productSpace([
      { space: lorentzSpace(), width: 2, weight: 0.5 },
      { space: poincareSpace({ c: 0.7 }), width: 1 },
      { space: euclideanSpace(), width: 1, weight: 3 },
    ]),
  ],
];

const vector = fc
  .array(fc.double({ min: -1.5, max: 1.5, noNaN: true }), { minLength: WIDTH, maxLength: WIDTH })
  .map((values) => Float64Array.from(values))
  .filter((x) => norm(x) > 0.1);
const pair = fc.tuple(vector, vector);

/** Far enough apart for central differences, and on the sphere not at the antipode, where no direction is shortest. */
function apart(space: Space, x: Float64Array, y: Float64Array): boolean {
  const distance = space.distance(x, y);
  return distance > 0.1 && !(space.name === "sphere" && distance > 3);
}

/** The ordinary gradient of d(·, y) at x. */
function distanceGradient(space: Space, x: Float64Array, y: Float64Array): Float64Array {
  return x.map((_, d) => {
    const moved = (by: number): Float64Array => x.map((value, place) => (place === d ? value + by : value));
    return (space.distance(moved(STEP), y) - space.distance(moved(-STEP), y)) / (2 * STEP);
  });
}

describe.each(spaces)("%s", (_name, space) => {
  test("has a distance that is zero at home, symmetric and obeys the triangle inequality", () => {
    fc.assert(
      fc.property(vector, vector, vector, (x, y, z) => {
        const direct = space.distance(x, z);
        expect(space.distance(x, x)).toBe(0);
        expect(Math.abs(space.distance(z, x) - direct)).toBeLessThanOrEqual(ROUNDING * (1 + direct));
        expect(direct).toBeLessThanOrEqual(
          (space.distance(x, y) + space.distance(y, z)) * (1 + ROUNDING) + ROUNDING,
        );
      }),
    );
  });

  test("has a distance whose Riemannian gradient is one long", () => {
    fc.assert(
      fc.property(pair, ([x, y]) => {
        fc.pre(apart(space, x, y));
        const gradient = distanceGradient(space, x, y);
        const square = dotProduct(gradient, space.riemannianGradient(x, gradient));
        expect(Math.abs(square - 1)).toBeLessThanOrEqual(DIFFERENCE_TOLERANCE);
      }),
    );
  });

  test("turns gradients by the metric that small distances measure", () => {
    fc.assert(
      fc.property(pair, ([x, y]) => {
        fc.pre(apart(space, x, y));
        const gradient = distanceGradient(space, x, y);
        const step = space.riemannianGradient(x, gradient);
        const reach = STEP / norm(step);
        const squared = (sign: number): number =>
          (space.distance(x, combine(1, x, sign * reach, step)) / reach) ** 2;
        const measured = 0.5 * (squared(1) + squared(-1));
        const expected = dotProduct(gradient, step);
        expect(Math.abs(measured - expected)).toBeLessThanOrEqual(DIFFERENCE_TOLERANCE * expected);
      }),
    );
  });

  test("steps as far as the metric says", () => {
    fc.assert(
      fc.property(pair, fc.double({ min: 0.01, max: 2.5, noNaN: true }), ([x, y], length) => {
        fc.pre(apart(space, x, y));
        const gradient = distanceGradient(space, x, y);
        const direction = space.riemannianGradient(x, gradient);
        const speed = Math.sqrt(dotProduct(gradient, direction));
        const end = space.retract(x, scale(length / speed, direction));
        expect(Math.abs(space.distance(x, end) - length)).toBeLessThanOrEqual(ROUNDING * 1e3 * length);
      }),
    );
  });

  test("comes nearer by exactly the length of a step against the gradient of the distance", () => {
    fc.assert(
      fc.property(pair, fc.double({ min: 0.1, max: 0.9, noNaN: true }), ([x, y], share) => {
        fc.pre(apart(space, x, y));
        const distance = space.distance(x, y);
        const direction = space.riemannianGradient(x, distanceGradient(space, x, y));
        const end = space.retract(x, scale(-share * distance, direction));
        expect(Math.abs(space.distance(end, y) - (1 - share) * distance)).toBeLessThanOrEqual(
          DIFFERENCE_TOLERANCE,
        );
      }),
    );
  });

  test("writes where it is told, even over its own arguments", () => {
    fc.assert(
      fc.property(pair, ([x, g]) => {
        for (const compute of [space.riemannianGradient, space.retract]) {
          const fresh = compute(x, g);
          const overFirst = x.slice();
          const overSecond = g.slice();
          expect(compute(overFirst, g, overFirst)).toBe(overFirst);
          expect(compute(x, overSecond, overSecond)).toBe(overSecond);
          expect(overFirst).toEqual(fresh);
          expect(overSecond).toEqual(fresh);
        }
      }),
    );
  });

  test("accepts the origin, tiny and equal vectors without a NaN", () => {
    const zero = new Float64Array(WIDTH);
    const tiny = new Float64Array(WIDTH).fill(5e-324);
    const small = new Float64Array(WIDTH).fill(1e-170);
    const large = new Float64Array(WIDTH).fill(1e4);
    for (const x of [zero, tiny, small, large]) {
      for (const y of [zero, tiny, small, large]) {
        expect(space.distance(x, y)).toBeGreaterThanOrEqual(0);
        expect(space.distance(x, y)).toBeLessThan(1e6);
        expect(space.riemannianGradient(x, y).every(Number.isFinite)).toBe(true);
        if (y !== large) expect(space.retract(x, y).every(Number.isFinite)).toBe(true);
      }
    }
  });

  test("refuses vectors that do not fit or are not finite", () => {
    const x = new Float64Array(WIDTH).fill(0.5);
    expect(() => space.distance(x, x.subarray(1))).toThrow(ShapeError);
    expect(() => space.distance([], [])).toThrow(ShapeError);
    expect(() => space.lift(x, new Float64Array(1))).toThrow(ShapeError);
    expect(() => space.retract(x, [0, 0, Number.NaN, 0])).toThrow(NumbersError);
    expect(() => space.requireWidth(0)).toThrow(ShapeError);
  });

  test("lifts to as many coordinates as it says", () => {
    expect(space.lift([0.1, 0.2, 0.3, 0.4]).length).toBe(space.liftedWidth(WIDTH));
  });

  test("is listed under its name", () => {
    expect(spaceDefinitions[space.name].sentence).toBe(space.sentence);
  });
});

describe("the lifts", () => {
  test("of the hyperbolic spaces are points of the hyperboloid at the same distance", () => {
    fc.assert(
      fc.property(pair, fc.double({ min: 0.1, max: 3, noNaN: true }), ([x, y], c) => {
        for (const space of [lorentzSpace({ c }), poincareSpace({ c })]) {
          const lifted = hyperboloidDistance(space.lift(x), space.lift(y), c);
          expect(Math.abs(lifted - space.distance(x, y))).toBeLessThanOrEqual(1e3 * ROUNDING * (1 + lifted));
        }
      }),
    );
  });

  test("of the sphere are unit vectors whose inner product is the cosine of the distance", () => {
    const space = sphereSpace();
    fc.assert(
      fc.property(pair, ([x, y]) => {
        const cosine = dotProduct(space.lift(x), space.lift(y));
        expect(Math.abs(cosine - Math.cos(space.distance(x, y)))).toBeLessThanOrEqual(ROUNDING);
      }),
    );
  });

  test("of poincare are undone by polarCoordinates", () => {
    fc.assert(
      fc.property(vector, fc.double({ min: 0.1, max: 3, noNaN: true }), (v, c) => {
        const again = polarCoordinates(poincareSpace({ c }).lift(v), c);
        expect(norm(combine(1, again, -1, v))).toBeLessThanOrEqual(ROUNDING * norm(v));
      }),
    );
  });

  test("of a product are its members' lifts in a row", () => {
    const product = productSpace([
      { space: lorentzSpace({ c: 2 }), width: 2 },
      { space: sphereSpace(), width: 2 },
    ]);
    const expected = [...lorentzSpace({ c: 2 }).lift([1, 2]), ...sphereSpace().lift([3, 4])];
    expect(Array.from(product.lift([1, 2, 3, 4]))).toEqual(expected);
  });
});

describe("single spaces", () => {
  test("poincare measures the distance of exp₀ v and exp₀ w in the ball", () => {
    fc.assert(
      fc.property(pair, fc.double({ min: 0.05, max: 1, noNaN: true }), ([v, w], c) => {
        const inBall = stereographicDistance(stereographicExp0(v, -c), stereographicExp0(w, -c), -c);
        // 1 − c‖x‖² keeps 1e-16·cosh²(√c‖v‖) of its digits, and here √c‖v‖ ≤ 3.
        expect(Math.abs(inBall - poincareSpace({ c }).distance(v, w))).toBeLessThanOrEqual(
          1e3 * ROUNDING * (1 + inBall),
        );
      }),
    );
  });

  test("poincare and lorentz tend to flat space as c goes to 0", () => {
    fc.assert(
      fc.property(pair, ([x, y]) => {
        const flat = euclideanSpace().distance(x, y);
        expect(Math.abs(lorentzSpace({ c: 1e-12 }).distance(x, y) - flat)).toBeLessThanOrEqual(
          1e-9 * (1 + flat),
        );
        expect(Math.abs(poincareSpace({ c: 1e-12 }).distance(x, y) - 2 * flat)).toBeLessThanOrEqual(
          1e-9 * (1 + flat),
        );
      }),
    );
  });

  test("poincare keeps measuring where sinh overflows", () => {
    const space = poincareSpace();
    expect(space.distance([400, 0], [300, 0])).toBe(200);
    // Two rays at a right angle: d = ρ + σ + 2·ln sin 45° to within e^{−600}.
    expect(space.distance([400, 0], [0, 300])).toBeCloseTo(1400 - Math.log(2), 10);
    // One point near the origin, at a right angle: cosh d = cosh ρ·cosh σ, and cosh ρ is e^ρ/2.
    expect(space.distance([350, 0], [0, 0.5])).toBeCloseTo(700 + Math.log(Math.cosh(1)), 10);
    // Equal radii and a tiny angle: sinh(d/2) = sinh ρ·sin(θ/2).
    const near = space.distance([160, 0], [160, 160 * 8e-139]);
    expect(near / (2 * Math.asinh((Math.exp(320) / 2) * 4e-139))).toBeCloseTo(1, 10);
    // The two formulas meet at ρ + σ = 600.
    const [before, after] = [150 - 1e-9, 150 + 1e-9].map((radius) => space.distance([150, 0], [0, radius]));
    expect(after - before).toBeLessThan(1e-8);
    expect(() => space.lift([400, 0])).toThrow(NumbersError);
  });

  test("hyperbolic steps too long for f64 are refused and leave the point alone", () => {
    for (const space of [poincareSpace(), lorentzSpace()]) {
      const place = Float64Array.of(0.5, 0.5);
      expect(() => space.retract(place, [1e4, 0], place)).toThrow(NumbersError);
      expect(place).toEqual(Float64Array.of(0.5, 0.5));
    }
  });

  test("the sphere does not see the lengths of its coordinates, and steps keep them", () => {
    const space = sphereSpace();
    fc.assert(
      fc.property(pair, fc.double({ min: 0.1, max: 10, noNaN: true }), ([x, y], factor) => {
        const scaled = space.distance(scale(factor, x), y);
        expect(Math.abs(scaled - space.distance(x, y))).toBeLessThanOrEqual(ROUNDING);
        expect(Math.abs(norm(space.retract(x, y)) / norm(x) - 1)).toBeLessThanOrEqual(ROUNDING);
      }),
    );
  });

  test("the Hermitian product is conjugate symmetric and unchanged by a common phase", () => {
    fc.assert(
      fc.property(pair, fc.double({ min: -4, max: 4, noNaN: true }), ([x, y], angleRad) => {
        const turn = (z: Float64Array): Float64Array =>
          z.map((value, d) =>
            d % 2 === 0
              ? value * Math.cos(angleRad) - z[d + 1] * Math.sin(angleRad)
              : value * Math.cos(angleRad) + z[d - 1] * Math.sin(angleRad),
          );
        const product = hermitianInner(x, y);
        const swapped = hermitianInner(y, x);
        const turned = hermitianInner(turn(x), turn(y));
        expect(swapped.re).toBe(product.re);
        expect(swapped.im + product.im).toBeCloseTo(0, 13);
        expect(turned.re).toBeCloseTo(product.re, 12);
        expect(turned.im).toBeCloseTo(product.im, 12);
      }),
    );
  });

  test("spaces that cannot be are refused when they are made", () => {
    expect(() => lorentzSpace({ c: 0 })).toThrow(DomainError);
    expect(() => poincareSpace({ c: Number.NaN })).toThrow(DomainError);
    expect(() => productSpace([])).toThrow(ShapeError);
    expect(() => productSpace([{ space: complexSpace(), width: 3 }])).toThrow(ShapeError);
    expect(() => productSpace([{ space: euclideanSpace(), width: 1, weight: 0 }])).toThrow(DomainError);
    expect(() => complexSpace().distance([1], [1])).toThrow(/width 1 is odd/);
    expect(() => hermitianInner([1, 2, 3], [1, 2, 3])).toThrow(ShapeError);
  });
});
