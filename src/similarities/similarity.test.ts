/** @file Defining similarities: a user's own, options, parameters, errors. */
import { describe, expect, test } from "vitest";
import { scorePair } from "../../test/score-pair.ts";
import { positive, real } from "../base/parameter.ts";
import { random } from "../base/random.ts";
import { add, derivative, evaluate, log1p, mul, sub, variable } from "../score/index.ts";
import {
  cauchy,
  complex,
  cosine,
  isKeyVariable,
  l2,
  mahalanobis,
  poincare,
  product,
  rbf,
  similarities,
  similarity,
  termVariables,
} from "./index.ts";

const code = (expected: string, name = "DomainError"): unknown =>
  expect.objectContaining({ name, code: expected });

describe("a similarity of one's own", () => {
  const mine = similarity("mine", {
    inner: "dot",
    score: ({ s, q2, k2, tau }) => log1p(sub(add(q2, k2), mul(2, s)).div(tau)).neg(),
    params: { tau: positive(1) },
  });

  test("interface.md's expression is cauchy with β = 1", () => {
    const [q, k] = [
      [1, -0.5, 2],
      [0.25, 1, -1],
    ];
    expect(scorePair(mine({ tau: 2 }), q, k)).toBeCloseTo(scorePair(cauchy({ tau: 2 }), q, k), 14);
    expect(scorePair(mine(), q, k)).toBeCloseTo(scorePair(cauchy({ tau: 1 }), q, k), 14);
  });

  test("prints its score as its formula", () => {
    expect(mine.definition.formula).toBe("-(log1p((((q2 + k2) - (2 * s)) / tau)))");
  });

  test("has parameters that are fixed, or learned from their default", () => {
    const sizes = { heads: 2, width: 4 };
    const [fixed] = mine({ tau: 3 }).parameters;
    expect([fixed.mode, [...fixed.initial(sizes, random(0))], fixed.shape(sizes)]).toEqual([
      "fixed",
      [3, 3],
      [2],
    ]);
    const [learned] = mine({ tau: "learned" }).parameters;
    expect([learned.mode, [...learned.initial(sizes, random(0))]]).toEqual(["learned", [1, 1]]);
  });

  test("may not calibrate a parameter that is not its temperature", () => {
    expect(() => mine({ tau: "auto" })).toThrow(code("bad-option"));
    expect(cauchy({ beta: "auto" }).parameters[0].mode).toBe("auto");
    expect(() => cauchy({ tau: "auto" })).toThrow(code("bad-option"));
  });

  test("may use only its inputs and parameters", () => {
    const make = (): unknown =>
      similarity("bad", { inner: "dot", score: () => variable("s").mul(variable("tav")) });
    expect(make).toThrow(code("unknown-variable"));
    expect(make).toThrow(/tav.*Known are s, q2, k2, guard/);
  });

  test.each(["s", "k2", "guard", "q2_1", "weight_0"])(
    "may not call a parameter '%s', which is an input's name",
    (name) => {
      const make = (): unknown =>
        similarity("bad", { inner: "dot", score: ({ s }) => s, params: { [name]: real(0) } });
      expect(make).toThrow(code("parameter-name"));
    },
  );

  test("may not call a parameter by a word of the printed languages", () => {
    expect(() => similarity("bad", { inner: "dot", score: ({ s }) => s, params: { new: real(0) } })).toThrow(
      code("variable-name"),
    );
  });

  test("may call a parameter like a line of the printed program", () => {
    const odd = similarity("odd", {
      inner: "dot",
      score: ({ s, t3 }) => s.mul(t3).add(t3),
      params: { t3: real(2) },
    });
    expect(scorePair(odd(), [1, 2], [3, 4])).toBe(24);
  });
});

describe("options", () => {
  test.each([
    {
      name: "an unknown one",
      make: () => l2({ tau: 1 } as never),
      code: "unknown-option",
      says: /it takes beta.*'beta'/,
    },
    {
      name: "zero for a positive one",
      make: () => l2({ beta: 0 }),
      code: "bad-option",
      says: /must be a number > 0/,
    },
    { name: "NaN", make: () => l2({ beta: NaN }), code: "bad-option", says: /NaN/ },
    {
      name: "another word",
      make: () => l2({ beta: "free" as never }),
      code: "bad-option",
      says: /learned or auto: free/,
    },
    {
      name: "a missing one",
      make: () => product({} as never),
      code: "missing-option",
      says: /needs 'members'/,
    },
    {
      name: "both forms of cosine's",
      make: () => cosine({ beta: 1, tau: 1 }),
      code: "cosine-temperature",
      says: /1\/tau/,
    },
  ])("refuse $name", ({ make, code: expected, says }) => {
    expect(make).toThrow(code(expected));
    expect(make).toThrow(says);
  });

  test("undefined counts as absent", () => {
    expect(l2({ beta: undefined } as never).options).toEqual({});
  });

  test("every similarity says what it computes and where it comes from", () => {
    for (const { definition } of similarities) {
      expect(definition.formula.length, `formula of ${definition.selector}`).toBeGreaterThan(5);
      expect(definition.source, `source of ${definition.selector}`).toMatch(/\d{4}/);
    }
    expect(new Set(similarities.map(({ definition }) => definition.selector)).size).toBe(similarities.length);
    expect(similarities).toHaveLength(13);
  });

  test("temperatures multiply the score by their power", () => {
    const [q, k] = [
      [1, -0.5, 2, 0.3],
      [0.25, 1, -1, 0.7],
    ];
    for (const make of similarities) {
      if (make === similarities.at(-1)) continue;
      const made = make();
      const { parameters, power } = made.temperature!;
      const [name] = parameters;
      const at = (value: number): number => scorePair(made, q, k, { parameters: { [name]: value } });
      expect(at(3) / at(1), `power of ${made.name}`).toBeCloseTo(3 ** power, 10);
    }
    expect(rbf().temperature?.power).toBe(-2);
  });
});

describe("widths", () => {
  test("complex coordinates come in pairs", () => {
    expect(() => complex().terms(3)).toThrow(code("odd-width", "ShapeError"));
    expect(complex({ part: "abs" }).terms(4)).toEqual([
      { inner: "dot", start: 0, stop: 4 },
      { inner: "symplectic", start: 0, stop: 4 },
    ]);
  });

  test("a product needs a multiple of its members, and even blocks for complex ones", () => {
    expect(() => product({ members: "l2/dot/l1" }).terms(8)).toThrow(code("product-width", "ShapeError"));
    expect(() => product({ members: "complex/l2" }).terms(6)).toThrow(code("odd-width", "ShapeError"));
    expect(product({ members: "l2/l1" }).terms(6)).toEqual([
      { inner: "dot", start: 0, stop: 3 },
      { inner: "l1", start: 3, stop: 6 },
    ]);
  });
});

describe("records", () => {
  test("variables of terms are numbered after the first, and keys' are known", () => {
    expect(termVariables(0)).toEqual({ inner: "s", queryNorm: "q2", keyNorm: "k2" });
    expect(termVariables(2)).toEqual({ inner: "s_2", queryNorm: "q2_2", keyNorm: "k2_2" });
    expect(["s", "k2", "s_12", "k2_1"].every(isKeyVariable)).toBe(true);
    expect(["q2", "q2_1", "beta", "sigma", "c_1", "guard", "k2x"].some(isKeyVariable)).toBe(false);
  });

  test("mahalanobis learns its metric per head and coordinate unless it is a number", () => {
    const metric = mahalanobis().parameters[1];
    expect([metric.mode, metric.shape({ heads: 2, width: 3 })]).toEqual(["learned", [2, 3]]);
    expect([...mahalanobis({ m: 2 }).parameters[1].initial({ heads: 1, width: 2 }, random(0))]).toEqual([
      2, 2,
    ]);
    expect(mahalanobis({ m: 2 }).parameters[1].mode).toBe("fixed");
  });

  test("cosine's β is kept at most 100 when learned, as Swin V2's τ ≥ 0.01", () => {
    expect(cosine({ tau: "learned" }).parameters).toMatchObject([
      { name: "beta", mode: "learned", maximum: 100 },
    ]);
    expect([...cosine({ tau: 0.5 }).parameters[0].initial({ heads: 1, width: 2 }, random(0))]).toEqual([2]);
  });

  test("the slope of a geodesic at coincidence is finite", () => {
    const slope = derivative(poincare().score, "s");
    const at = { s: 4, q2: 4, k2: 4, beta: 1, c: 1, guard: 1e-12 };
    expect(Number.isFinite(evaluate(slope, at))).toBe(true);
  });
});
