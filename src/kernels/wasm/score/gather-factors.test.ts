/** @file Gathered formulas against the formulas as they are, exactly where arithmetic is exact, and what a pair costs then. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  constant,
  cosh,
  div,
  evaluate,
  type Expression,
  min,
  mul,
  neg,
  sinh,
  sqrt,
  sub,
  variable,
} from "../../../score/index.ts";
import { factorGatherer } from "./gather-factors.ts";
import { rateOf } from "./rates.ts";

const [s, t, q2, k2, c] = ["s", "s_1", "q2", "k2", "c"].map(variable);
const positive = new Set(["c"]);
const gathered = (expression: Expression): Expression => factorGatherer(positive)(expression);

/** Sums and products of variables and powers of two, divided by variables at most. */
const formulas = fc.letrec<{ formula: Expression }>((tie) => ({
  formula: fc.oneof(
    { maxDepth: 3, depthIdentifier: "formula" },
    fc.constantFrom(s, t, q2, k2, c, constant(1), constant(2), constant(-0.5)),
    fc
      .tuple(fc.constantFrom(add, sub, mul), tie("formula"), tie("formula"))
      .map(([join, a, b]) => join(a, b)),
    tie("formula").map((a) => neg(a)),
    fc.tuple(tie("formula"), fc.constantFrom(q2, k2, c)).map(([a, b]) => div(a, b)),
  ),
})).formula;

/** Powers of two between 1/4 and 4: sums and products of eight of them, and of their inverses, are exact in float64. */
const powers = fc.constantFrom(0.25, 0.5, 1, 2, 4);
const signed = fc.tuple(powers, fc.constantFrom(1, -1)).map(([size, sign]) => sign * size);
const points = fc.record({ s: signed, s_1: signed, q2: powers, k2: powers, c: powers });

test("gathering changes no number where nothing is rounded", () => {
  fc.assert(
    fc.property(formulas, points, (formula, point) => {
      expect(Math.abs(evaluate(gathered(formula), point) - evaluate(formula, point))).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test("what a gatherer saw before changes no number", () => {
  fc.assert(
    fc.property(fc.array(formulas, { minLength: 2, maxLength: 4 }), points, (several, point) => {
      const gather = factorGatherer(positive);
      for (const formula of several) {
        expect(Math.abs(evaluate(gather(formula), point) - evaluate(formula, point))).toBe(0);
      }
    }),
  );
});

test("formulas that do not change from pair to pair stay what they are", () => {
  fc.assert(
    fc.property(formulas, (formula) => {
      fc.pre(rateOf(formula) !== "pair");
      expect(gathered(formula)).toBe(formula);
    }),
  );
});

/** How often a pair does each operation, equal ones of all formulas once. */
function operationsOfPair(expressions: readonly Expression[]): Record<string, number> {
  const operations = new Map<string, string>();
  const visit = (expression: Expression): void => {
    if (rateOf(expression) !== "pair" || expression.operation === "variable") return;
    operations.set(String(expression), expression.operation);
    expression.operands.forEach(visit);
  };
  expressions.forEach(visit);
  const counts: Record<string, number> = {};
  for (const operation of operations.values()) counts[operation] = (counts[operation] ?? 0) + 1;
  return counts;
}

describe("a pair pays", () => {
  test.each([
    ["one product for any slow factors of one rate", mul(mul(mul(s, q2), c), mul(3, q2)), { mul: 1 }],
    ["two for those of a row and a key", mul(mul(q2, mul(s, c)), mul(k2, q2)), { mul: 2 }],
    ["no division by what a row knows", div(mul(s, 3), mul(q2, c)), { mul: 1 }],
    ["one product where terms share a factor", add(mul(s, mul(q2, 2)), mul(mul(q2, c), s)), { mul: 1 }],
    ["nothing for terms that cancel", add(s, sub(mul(t, q2), mul(q2, t))), {}],
  ])("%s", (_, formula, expected) => {
    expect(operationsOfPair([gathered(formula)])).toEqual(expected);
  });

  test("one division for all that is divided by the same", () => {
    const gather = factorGatherer(positive);
    const divisor = add(1, mul(s, s));
    const both = [div(s, divisor), div(mul(t, q2), divisor)].map(gather);
    expect(operationsOfPair(both)["div"]).toBe(1);
  });
});

test("a scale stays outside of ‖q‖² + ‖k‖² − 2s, which fused products would not cancel at q = k", () => {
  const distance = sub(add(q2, k2), mul(2, s));
  expect(operationsOfPair([gathered(mul(c, distance))])["mul"]).toBe(2);
  // A power of two rounds nothing, and joins the number that is there.
  expect(operationsOfPair([gathered(mul(4, distance))])["mul"]).toBe(1);
});

describe("sinh and cosh of a row's and a key's number", () => {
  const [row, key] = [min(sqrt(q2), 8), min(sqrt(k2), 8)];

  test.each([
    ["sinh", sinh],
    ["cosh", cosh],
  ] as const)("%s is split into exponentials of each", (name, operation) => {
    const formula = operation(add(row, key));
    const split = gathered(formula);
    expect(Object.keys(operationsOfPair([split]))).not.toContain(name);
    expect(operationsOfPair([split])["exp"]).toBeUndefined();
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 81, noNaN: true }),
        fc.double({ min: 0.01, max: 81, noNaN: true }),
        (a, b) => {
          const expected = evaluate(formula, { q2: a, k2: b });
          // Both exponentials are right to a rounding of e^(a + b), of which sinh above 0.2 is more than a tenth.
          const error = Math.abs(evaluate(split, { q2: a, k2: b }) - expected);
          expect(error).toBeLessThanOrEqual(200 * Number.EPSILON * expected);
        },
      ),
    );
  });

  test("stays whole where an exponential could leave float32", () => {
    const formula = sinh(add(sqrt(q2), sqrt(k2)));
    expect(operationsOfPair([gathered(formula)])["sinh"]).toBe(1);
  });
});
