import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formulas, orDiscard, ordinaryPoints, type Point } from "../../test/arbitrary-expression.ts";
import {
  abs,
  derivative,
  evaluate,
  type Expression,
  max,
  min,
  sign,
  sqrt,
  step,
  variable,
  variablesOf,
} from "./index.ts";

/** Fourth-order central difference: truncation h⁴·f⁗′, rounding 1e-16·|f|/h. */
function difference(expression: Expression, point: Point, name: keyof Point, h: number): number {
  const at = (steps: number): number => evaluate(expression, { ...point, [name]: point[name] + steps * h });
  return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h);
}

/** Relative, where two steps agree to a tenth of it: only there is the difference itself that good. */
const TOLERANCE = 1e-6;

test("symbolic derivatives are central differences, wherever these converge", () => {
  fc.assert(
    fc.property(
      formulas,
      ordinaryPoints,
      fc.constantFrom("x" as const, "y" as const, "z" as const),
      (formula, point, name) => {
        const expression = orDiscard(formula.build);
        const [coarse, fine] = [1e-4, 3e-5].map((h) => difference(expression, point, name, h));
        const size = Math.max(1, Math.abs(fine));
        fc.pre(Math.abs(coarse - fine) < 0.1 * TOLERANCE * size);
        const symbolic = evaluate(
          orDiscard(() => derivative(expression, name)),
          point,
        );
        // 0·∞ where a clamp hides an infinite slope, as of √ at 0: what guards are for.
        fc.pre(!Number.isNaN(symbolic));
        expect(Math.abs(symbolic - fine) / size).toBeLessThan(TOLERANCE);
      },
    ),
    { seed: 3, numRuns: 2000, maxSkipsPerRun: 100 },
  );
});

test("a derivative needs no other variables than the formula has", () => {
  fc.assert(
    fc.property(formulas, (formula) => {
      const expression = orDiscard(formula.build);
      const slope = orDiscard(() => derivative(expression, "x"));
      const own = variablesOf(expression);
      for (const used of variablesOf(slope)) expect(own.has(used)).toBe(true);
      if (!own.has("x")) expect(String(slope)).toBe("0");
    }),
    { seed: 4, numRuns: 500 },
  );
});

describe("at a kink the derivative follows the forward's own rules", () => {
  const [x, y] = [variable("x"), variable("y")];
  const at = (expression: Expression, name: string): number =>
    evaluate(derivative(expression, name), { x: 0, y: 0 });

  test("sign(0) = 0, so |x| is flat at 0, and sign and step are flat everywhere", () => {
    expect([at(abs(x), "x"), at(sign(x), "x"), at(step(x), "x")]).toEqual([0, 0, 0]);
  });

  test("where both are equal, max and min follow the second", () => {
    expect([at(max(x, y), "x"), at(max(x, y), "y")]).toEqual([0, 1]);
    expect([at(min(x, y), "x"), at(min(x, y), "y")]).toEqual([0, 1]);
  });

  test("a guarded root has a finite slope at zero", () => {
    const guarded = derivative(sqrt(max(x, 0).add(1e-12)), "x");
    expect(evaluate(guarded, { x: 0 })).toBe(0);
    expect(evaluate(guarded, { x: 1e-30 })).toBeCloseTo(5e5, 0);
  });
});
