/** @file Every similarity against its textbook formula, written here directly and by other means than the sources use. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scorePair } from "../../test/score-pair.ts";
import {
  cauchy,
  complex,
  cosine,
  dot,
  l1,
  l2,
  lorentz,
  lorentzDistance,
  mahalanobis,
  poincare,
  product,
  rbf,
  type Similarity,
  tropical,
} from "./index.ts";

/** Some D = 8 roundings on either side, of scores up to about 10. */
const TOLERANCE = 1e-12;
/** Math.acosh of z near 1 loses half the digits: used where z > 1.1, that is 1e-16/(z − 1) with a margin. */
const ARCOSH_TOLERANCE = 1e-11;

type Vector = readonly number[];
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const inner = (a: Vector, b: Vector): number => sum(a.map((x, d) => x * b[d]));
const norm = (a: Vector): number => Math.hypot(...a);
const minus = (a: Vector, b: Vector): Vector => a.map((x, d) => x - b[d]);

const width = 8;
const vectors = fc.array(fc.integer({ min: -2000, max: 2000 }), { minLength: width, maxLength: width });
/** Coordinates in [−2, 2], never all zero and never two vectors the same. */
const pairs = fc
  .tuple(vectors, vectors)
  .map(([a, b]) => [a.map((x) => (x + 0.1) / 1000), b.map((x) => (x + 0.3) / 1000)] as const);

/** Points of the hyperboloid ⟨x, x⟩_L = −1/c with these space parts. */
const minkowski = (q: Vector, k: Vector, c: number): number =>
  inner(q, k) - Math.sqrt(1 / c + inner(q, q)) * Math.sqrt(1 / c + inner(k, k));

/** The point of the ball of curvature −c. */
function exponential(v: Vector, c: number): Vector {
  const length = Math.sqrt(c) * norm(v);
  return v.map((x) => (Math.tanh(length) * x) / length);
}

/** 1 + 2c‖x−y‖²/((1−c‖x‖²)(1−c‖y‖²)), whose arcosh is √c·d. */
function coshOfDistance(x: Vector, y: Vector, c: number): number {
  const difference = minus(x, y);
  return 1 + (2 * c * inner(difference, difference)) / ((1 - c * inner(x, x)) * (1 - c * inner(y, y)));
}

function hermitian(q: Vector, k: Vector): { readonly re: number; readonly im: number } {
  let [re, im] = [0, 0];
  for (let m = 0; m < q.length; m += 2) {
    // (a + ib)·conj(c + id)
    const [a, b, c, d] = [q[m], q[m + 1], k[m], k[m + 1]];
    re += a * c + b * d;
    im += b * c - a * d;
  }
  return { re, im };
}

const root = Math.sqrt(width);
const formulas: readonly {
  readonly name: string;
  readonly similarity: Similarity;
  readonly formula: (q: Vector, k: Vector) => number;
}[] = [
  { name: "dot", similarity: dot(), formula: (q, k) => inner(q, k) / root },
  { name: "dot:scale=3", similarity: dot({ scale: 3 }), formula: (q, k) => 3 * inner(q, k) },
  { name: "l2", similarity: l2(), formula: (q, k) => -(norm(minus(q, k)) ** 2) / (2 * root) },
  { name: "l2:beta=2", similarity: l2({ beta: 2 }), formula: (q, k) => -2 * norm(minus(q, k)) ** 2 },
  {
    name: "rbf",
    similarity: rbf(),
    formula: (q, k) => -(norm(minus(q, k)) ** 2) / (2 * (width ** 0.25) ** 2),
  },
  { name: "rbf:sigma=3", similarity: rbf({ sigma: 3 }), formula: (q, k) => -(norm(minus(q, k)) ** 2) / 18 },
  { name: "l1", similarity: l1(), formula: (q, k) => -sum(minus(q, k).map(Math.abs)) / root },
  {
    name: "cauchy",
    similarity: cauchy(),
    formula: (q, k) => -Math.log1p(norm(minus(q, k)) ** 2 / width),
  },
  {
    name: "cauchy:beta=3,tau=2",
    similarity: cauchy({ beta: 3, tau: 2 }),
    formula: (q, k) => -3 * Math.log(1 + norm(minus(q, k)) ** 2 / 2),
  },
  { name: "cosine", similarity: cosine(), formula: (q, k) => (10 * inner(q, k)) / norm(q) / norm(k) },
  {
    name: "cosine:tau=0.25",
    similarity: cosine({ tau: 0.25 }),
    formula: (q, k) => inner(q, k) / (norm(q) * norm(k)) / 0.25,
  },
  { name: "lorentz", similarity: lorentz(), formula: (q, k) => (2 + 2 * minkowski(q, k, 1)) / root },
  {
    name: "lorentz:beta=3,c=0.5",
    similarity: lorentz({ beta: 3, c: 0.5 }),
    formula: (q, k) => 3 * (2 / 0.5 + 2 * minkowski(q, k, 0.5)),
  },
  { name: "complex", similarity: complex(), formula: (q, k) => hermitian(q, k).re / root },
  {
    name: "complex:part=im",
    similarity: complex({ part: "im" }),
    formula: (q, k) => hermitian(q, k).im / root,
  },
  {
    name: "complex:part=abs",
    similarity: complex({ part: "abs" }),
    formula: (q, k) => Math.hypot(hermitian(q, k).re, hermitian(q, k).im) / root,
  },
  {
    name: "tropical",
    similarity: tropical(),
    formula: (q, k) => -(Math.max(...minus(q, k)) - Math.min(...minus(q, k))) / root,
  },
  {
    name: "mahalanobis with m = 1",
    similarity: mahalanobis(),
    formula: (q, k) => -(norm(minus(q, k)) ** 2) / (2 * root),
  },
  {
    name: "product:members=l2(beta=1)/tropical(beta=1)",
    similarity: product({ members: "l2(beta=1)/tropical(beta=1)" }),
    formula: (q, k) => {
      const difference = minus(q, k);
      const [first, second] = [difference.slice(0, 4), difference.slice(4)];
      return -(norm(first) ** 2) - (Math.max(...second) - Math.min(...second));
    },
  },
];

describe("scores are their formulas", () => {
  test.each(formulas)("$name", ({ similarity, formula }) => {
    fc.assert(
      fc.property(pairs, ([q, k]) => {
        const expected = formula(q, k);
        expect(Math.abs(scorePair(similarity, q, k) - expected)).toBeLessThan(
          TOLERANCE * Math.max(10, Math.abs(expected)),
        );
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  test.each([1, 0.3, 2])("lorentz-distance is the arcosh of the Minkowski product, c = %d", (c) => {
    fc.assert(
      fc.property(pairs, ([q, k]) => {
        const z = -c * minkowski(q, k, c);
        fc.pre(z > 1.1);
        const expected = -Math.acosh(z) / Math.sqrt(c);
        expect(Math.abs(scorePair(lorentzDistance({ c }), q, k) / expected - 1)).toBeLessThan(
          ARCOSH_TOLERANCE,
        );
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  test.each([1, 0.3, 2])("poincare is the arcosh formula of the ball, c = %d", (c) => {
    fc.assert(
      fc.property(pairs, ([first, second]) => {
        // Radii below 1.5 keep 1 − c‖x‖² > 0.18: the ball's own formula has its digits there.
        const shrink = (v: Vector): Vector => v.map((x) => x / (2 * root));
        const [q, k] = [shrink(first), shrink(second)];
        const z = coshOfDistance(exponential(q, c), exponential(k, c), c);
        fc.pre(z > 1.1);
        const expected = -Math.acosh(z) / Math.sqrt(c);
        expect(Math.abs(scorePair(poincare({ c }), q, k) / expected - 1)).toBeLessThan(ARCOSH_TOLERANCE);
      }),
      { seed: 3, numRuns: 100 },
    );
  });
});

describe("formulas at their edges", () => {
  test("poincare: the distance of exp₀ v from the origin is 2‖v‖, far beyond what the ball can hold", () => {
    for (const length of [1e-3, 1, 5, 20]) {
      const q = [length, 0];
      // √(‖v‖² + guard) with guard 1e-12 is ‖v‖ to 5e-7 at the smallest length.
      expect(scorePair(poincare(), q, [0, 0], { guard: 1e-12 }) / (-2 * length)).toBeCloseTo(1, 5);
    }
  });

  test("poincare: radii saturate at 43, where float32 ends, and directions still count", () => {
    const far = scorePair(poincare(), [100, 0], [0, 100], { guard: 1e-12 });
    expect(far).toBe(scorePair(poincare(), [1000, 0], [0, 1000], { guard: 1e-12 }));
    expect(far).toBeLessThan(scorePair(poincare(), [100, 0], [100, 1], { guard: 1e-12 }));
  });

  test("every distance of a point from itself is zero, at any radius", () => {
    const distances = [l2, rbf, l1, cauchy, lorentz, lorentzDistance, poincare, tropical, mahalanobis];
    for (const make of distances) {
      for (const size of [1e-3, 1, 10, 1e4]) {
        const q = [0.3, -1.1, 0.7, 0.2].map((x) => x * size);
        // −√(guard) = −1e-6 is all that geodesics keep of the guard.
        const score = scorePair(make(), q, q, { guard: 1e-12 });
        expect(score, `${make.definition.selector} at ${size}`).toBeLessThanOrEqual(0);
        expect(score, `${make.definition.selector} at ${size}`).toBeGreaterThan(-2.1e-6);
      }
    }
  });

  test("cosine divides by 1e-12 at least: tiny vectors fade out, zero gives zero", () => {
    expect(scorePair(cosine(), [1e-13, 0], [1, 0])).toBeCloseTo(10 * 0.1, 12);
    expect(scorePair(cosine(), [0, 0], [1, 0])).toBe(0);
  });
});
