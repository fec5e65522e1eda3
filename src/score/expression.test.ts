import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formulas, orDiscard, points } from "../../test/arbitrary-expression.ts";
import {
  abs,
  add,
  constant,
  constantOf,
  div,
  evaluate,
  log,
  log1p,
  max,
  mul,
  neg,
  step,
  sub,
  variable,
} from "./index.ts";

const x = variable("x");

test("simplified formulas have the value of the formulas as written", () => {
  fc.assert(
    fc.property(formulas, points, (formula, point) => {
      const expression = orDiscard(formula.build);
      const expected = formula.value(point);
      fc.pre(Number.isFinite(expected));
      // + 0 turns −0 into 0: dropping a neutral element may change the sign of a zero.
      expect(evaluate(expression, point) + 0).toBe(expected + 0);
    }),
    { seed: 1, numRuns: 2000 },
  );
});

describe("neutral elements are dropped, constants folded", () => {
  const simplified = [
    { name: "x + 0", actual: add(x, 0), expected: "x" },
    { name: "0 + x", actual: add(0, x), expected: "x" },
    { name: "x − 0", actual: sub(x, 0), expected: "x" },
    { name: "0 − x", actual: sub(0, x), expected: "-(x)" },
    { name: "x · 1", actual: mul(x, 1), expected: "x" },
    { name: "1 · x", actual: mul(1, x), expected: "x" },
    { name: "x · 0", actual: mul(x, 0), expected: "0" },
    { name: "x / 1", actual: div(x, 1), expected: "x" },
    { name: "0 / x", actual: div(0, x), expected: "0" },
    { name: "−−x", actual: neg(neg(x)), expected: "x" },
    { name: "2 · 3", actual: mul(2, 3), expected: "6" },
    { name: "max(1, 2)", actual: max(1, 2), expected: "2" },
    { name: "|−2|", actual: abs(-2), expected: "2" },
    { name: "step(0)", actual: step(0), expected: "0" },
    { name: "−0", actual: constant(-0), expected: "0" },
  ];
  test.each(simplified)("$name", ({ actual, expected }) => {
    expect(String(actual)).toBe(expected);
  });

  test("a folded −0 is 0, so that a printed formula divides by the same zero", () => {
    expect(Object.is(constantOf(neg(constant(0))), 0)).toBe(true);
  });
});

test("expressions read as formulas", () => {
  const formula = log1p(x.mul(2).add(1))
    .neg()
    .sub(max(x, variable("y")))
    .div(x.square());
  expect(String(formula)).toBe("((-(log1p(((x * 2) + 1))) - max(x, y)) / (x * x))");
});

describe("what no backend could print is refused", () => {
  test.each([
    { name: "log 0", make: () => log(0) },
    { name: "1/0", make: () => div(1, 0) },
    { name: "NaN", make: () => constant(NaN) },
    { name: "an overflow", make: () => mul(1e200, 1e200) },
  ])("$name", ({ make }) => {
    expect(make).toThrow(expect.objectContaining({ name: "DomainError", code: "expression-constant" }));
  });

  test.each(["", "2x", "a b", "x;y", "ünder", "new", "out", "Math", "_1"])("the name '%s'", (name) => {
    expect(() => variable(name)).toThrow(
      expect.objectContaining({ name: "DomainError", code: "variable-name" }),
    );
  });
});
