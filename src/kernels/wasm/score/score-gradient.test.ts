/** @file Gradients in one sweep against `derivative()`, and simplified and gathered formulas against their originals, in float64. */
import { describe, expect, test } from "vitest";
import { random } from "../../../base/random.ts";
import { derivative, evaluate, variablesOf } from "../../../score/index.ts";
import { poincare, similarities } from "../../../similarities/index.ts";
import { factorGatherer } from "./gather-factors.ts";
import { gradients } from "./score-gradient.ts";
import { simplifyScore } from "./simplify-score.ts";

const scores = similarities.map((factory) => {
  const { selector } = factory.definition;
  const options: Record<string, string> = selector === "product" ? { members: "l2/poincare/cosine" } : {};
  return { selector, score: factory(options).score };
});

const positive = new Set(["guard", "beta", "c", "tau", "lambda"]);

/** Two orders of the same f64 operations differ by roundings that cancellation in a score may multiply. */
const TOLERANCE = 1e-7;

describe.each(scores)("$selector", ({ selector, score }) => {
  const names = [...variablesOf(score)];
  const stream = random("gradient", selector);
  const bindings = (): Record<string, number> => {
    const numbers = names.map((name) => [name, 0.5 + stream.uniform()] as const);
    // Squared norms above the inner product, as Cauchy and Schwarz want it.
    return Object.fromEntries(
      numbers.map(([name, value]) => [name, /^[qk]2/.test(name) ? value + 2 : value]),
    );
  };

  test("every derivative is that of the chain rule", () => {
    const byName = gradients(simplifyScore(score, positive), names);
    const gather = factorGatherer(positive);
    for (let round = 0; round < 20; round++) {
      const at = bindings();
      for (const name of names) {
        const expected = evaluate(derivative(score, name), at);
        const found = byName.get(name);
        expect(found === undefined ? 0 : evaluate(gather(found), at)).toBeCloseTo(expected, 6);
      }
    }
  });

  test("gathering factors leaves the value", () => {
    const gathered = factorGatherer(positive)(simplifyScore(score, positive));
    for (let round = 0; round < 20; round++) {
      const at = bindings();
      const expected = evaluate(score, at);
      expect(Math.abs(evaluate(gathered, at) - expected)).toBeLessThanOrEqual(TOLERANCE * Math.abs(expected));
    }
  });
});

test("names that a score does not know have no gradient", () => {
  expect([...gradients(poincare().score, ["nobody"])]).toEqual([]);
});
