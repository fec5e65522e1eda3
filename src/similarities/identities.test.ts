/** @file Laws between similarities: identities, limits, invariances. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scorePair } from "../../test/score-pair.ts";
import { random } from "../base/random.ts";
import { splitRowTerm, variablesOf } from "../score/index.ts";
import { applyMatrix, randomLorentzBoost } from "../spaces/index.ts";
import {
  complex,
  dot,
  isKeyVariable,
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

const width = 6;
const stream = random("identities");
const vector = (deviation = 1): Float64Array =>
  Float64Array.from({ length: width }, () => deviation * stream.normal());
const samples = Array.from({ length: 20 }, () => [vector(), vector()] as const);

function expectEqualScores(
  first: (q: Float64Array, k: Float64Array) => number,
  second: (q: Float64Array, k: Float64Array) => number,
  tolerance: number,
): void {
  for (const [q, k] of samples) {
    const expected = second(q, k);
    expect(Math.abs(first(q, k) - expected)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(expected)));
  }
}

const squared = (x: Float64Array): number => x.reduce((sum, value) => sum + value ** 2, 0);
const by = (similarity: Similarity) => (q: Float64Array, k: Float64Array) => scorePair(similarity, q, k);

/** A dozen roundings. */
const ROUNDING = 1e-14;

describe("identities", () => {
  test("l2 is dot with a key bias and a row term that softmax does not see", () => {
    const beta = 0.7;
    const dotOf = by(dot({ scale: 2 * beta }));
    expectEqualScores(
      by(l2({ beta })),
      (q, k) => dotOf(q, k) - beta * squared(k) - beta * squared(q),
      ROUNDING,
    );
    const { row, pair } = splitRowTerm(l2().score, isKeyVariable);
    expect(String(row)).toBe("-((beta * q2))");
    expect([...variablesOf(pair)].sort()).toEqual(["beta", "k2", "s"]);
  });

  test("rbf's row term is that of l2", () => {
    const { row, pair } = splitRowTerm(rbf().score, isKeyVariable);
    expect([...variablesOf(row)].sort()).toEqual(["q2", "sigma"]);
    expect(variablesOf(pair).has("q2")).toBe(false);
  });

  test("rbf with its default σ = D^¼ is l2 with its default", () => {
    expectEqualScores(by(rbf()), by(l2()), ROUNDING);
  });

  test("the real part of the Hermitian product is the dot product", () => {
    expectEqualScores(by(complex()), by(dot()), ROUNDING);
  });

  test("a product of one kind with equal weights is that kind, where blocks add up", () => {
    expectEqualScores(
      by(product({ members: "l2(beta=0.5)/l2(beta=0.5)/l2(beta=0.5)" })),
      by(l2({ beta: 0.5 })),
      ROUNDING,
    );
  });

  test("a product's weights multiply its members", () => {
    const both = product({ members: "dot(scale=1)/l2(beta=1)" });
    const [q, k] = samples[0];
    const score = (w0: number, w1: number): number =>
      scorePair(both, q, k, { parameters: { weight_0: w0, weight_1: w1 } });
    expect(score(2, 3)).toBeCloseTo(2 * score(1, 0) + 3 * score(0, 1), 12);
  });

  test("mahalanobis with m = 1 is l2", () => {
    expectEqualScores(by(mahalanobis()), by(l2()), ROUNDING);
  });
});

describe("curvature to zero", () => {
  const scale = 0.7;

  test("lorentz tends to l2 with the same β, its error linear in c", () => {
    // (x₀ − y₀)² = c/4·(‖q‖²−‖k‖²)²/(…)² → c·(‖q‖²−‖k‖²)²/4 for small c.
    for (const c of [1e-3, 1e-6]) {
      for (const [q, k] of samples) {
        const expected = (scale * c * (squared(q) - squared(k)) ** 2) / 4;
        const excess = scorePair(lorentz({ beta: scale, c }), q, k) - scorePair(l2({ beta: scale }), q, k);
        expect(Math.abs(excess - expected)).toBeLessThan(20 * c * expected + 1e-13);
      }
    }
  });

  test("lorentz-distance tends to −β‖q−k‖", () => {
    const distance = (q: Float64Array, k: Float64Array): number =>
      -scale * Math.sqrt(squared(q.map((x, d) => x - k[d])));
    expectEqualScores(by(lorentzDistance({ beta: scale, c: 1e-8 })), distance, 1e-6);
  });

  test("poincare tends to −2β‖q−k‖: the metric of the ball is 4 times that of the plane at its centre", () => {
    const distance = (q: Float64Array, k: Float64Array): number =>
      -2 * scale * Math.sqrt(squared(q.map((x, d) => x - k[d])));
    expectEqualScores(by(poincare({ beta: scale, c: 1e-8 })), distance, 1e-6);
  });
});

describe("invariances", () => {
  test("hyperbolic scores are unchanged under a Lorentz boost of both points", () => {
    for (const c of [1, 0.25]) {
      for (const make of [lorentz, lorentzDistance]) {
        for (const [q, k] of samples) {
          const boost = randomLorentzBoost(random("boost", c, q[0]), width);
          const boosted = (x: Float64Array): Float64Array => {
            const point = [Math.sqrt(1 / c + squared(x)), ...x];
            return Float64Array.from(applyMatrix(boost, point)).subarray(1);
          };
          // Rounding grows with the square of the boosted coordinates: 1e-16·(e²·5)² and a margin.
          const change =
            scorePair(make({ beta: 1, c }), boosted(q), boosted(k)) - scorePair(make({ beta: 1, c }), q, k);
          expect(Math.abs(change)).toBeLessThan(1e-11);
        }
      }
    }
  });

  test("a score that claims invariance to rotations has it, and so for pairs", () => {
    const angle = 0.7;
    const turn = (x: Float64Array, a: number, b: number): Float64Array => {
      const turned = x.slice();
      turned[a] = Math.cos(angle) * x[a] - Math.sin(angle) * x[b];
      turned[b] = Math.sin(angle) * x[a] + Math.cos(angle) * x[b];
      return turned;
    };
    const made: readonly Similarity[] = [
      dot(),
      l2(),
      rbf(),
      lorentz(),
      lorentzDistance(),
      poincare(),
      complex(),
      complex({ part: "im" }),
      complex({ part: "abs" }),
      tropical(),
    ];
    for (const similarity of made) {
      const keeps = (a: number, b: number): boolean =>
        samples.every(([q, k]) => {
          const change = scorePair(similarity, turn(q, a, b), turn(k, a, b)) - scorePair(similarity, q, k);
          return Math.abs(change) < 1e-12;
        });
      const actual = keeps(0, 3) ? "rotation" : keeps(2, 3) ? "pairs" : "none";
      expect(actual, `${similarity.name} ${String(similarity.options["part"] ?? "")}`).toBe(
        similarity.invariance,
      );
    }
  });

  test("tropical: a constant added to all coordinates of q or k changes nothing", () => {
    fc.assert(
      fc.property(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -50, max: 50 }), (a, b) => {
        const [q, k] = samples[1];
        const shifted = scorePair(
          tropical(),
          q.map((x) => x + a),
          k.map((x) => x + b),
        );
        expect(shifted).toBeCloseTo(scorePair(tropical(), q, k), 12);
      }),
      { seed: 1, numRuns: 30 },
    );
  });

  test("complex: the imaginary part changes sign when q and k are exchanged, the modulus does not", () => {
    for (const [q, k] of samples) {
      expect(scorePair(complex({ part: "im" }), q, k)).toBe(-scorePair(complex({ part: "im" }), k, q));
      expect(scorePair(complex({ part: "abs" }), q, k)).toBe(scorePair(complex({ part: "abs" }), k, q));
    }
    expect(scorePair(complex({ part: "im" }), samples[0][0], samples[0][0])).toBe(0);
  });

  test("complex: the modulus forgets a common phase of q", () => {
    const phase = 1.1;
    for (const [q, k] of samples) {
      const turned = q.slice();
      for (let m = 0; m < width; m += 2) {
        turned[m] = Math.cos(phase) * q[m] - Math.sin(phase) * q[m + 1];
        turned[m + 1] = Math.sin(phase) * q[m] + Math.cos(phase) * q[m + 1];
      }
      expect(scorePair(complex({ part: "abs" }), turned, k)).toBeCloseTo(
        scorePair(complex({ part: "abs" }), q, k),
        12,
      );
    }
  });
});
