import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formulas, orDiscard, points } from "../../test/arbitrary-expression.ts";
import {
  add,
  compileJavaScript,
  derivative,
  evaluate,
  type Expression,
  exp,
  linearise,
  mul,
  neg,
  printJavaScript,
  splitRowTerm,
  sub,
  substitute,
  variable,
  variablesOf,
} from "./index.ts";

const [x, y, z] = ["x", "y", "z"].map(variable);

describe("printed JavaScript", () => {
  test("computes a formula and its derivatives bit for bit as they evaluate", () => {
    fc.assert(
      fc.property(formulas, points, (formula, point) => {
        const expression = orDiscard(formula.build);
        const all = orDiscard(() => [
          expression,
          ...["x", "y", "z"].map((name) => derivative(expression, name)),
        ]);
        const out = new Float64Array(all.length);
        compileJavaScript(all, ["x", "y", "z"])(out, point.x, point.y, point.z);
        expect([...out]).toEqual(all.map((each) => evaluate(each, point)));
      }),
      { seed: 5, numRuns: 1000 },
    );
  });

  test("is one line an operation, with variables under their own names", () => {
    expect(printJavaScript([exp(mul(-2, x.add(y)).neg()), y])).toBe(
      [
        "const _3 = x + y;",
        "const _4 = (-2) * _3;",
        "const _5 = -_4;",
        "const _6 = Math.exp(_5);",
        "out[0] = _6;",
        "out[1] = y;",
      ].join("\n"),
    );
  });

  test("keeps a variable apart from the names of its own lines", () => {
    const t1 = variable("t1");
    const out = new Float64Array(1);
    compileJavaScript([exp(t1).add(t1)], ["t1"])(out, 2);
    expect(out[0]).toBe(Math.exp(2) + 2);
  });
});

describe("linearised programs", () => {
  test("have one instruction for each distinct subexpression, across all formulas", () => {
    fc.assert(
      fc.property(formulas, formulas, (first, second) => {
        const expressions = [orDiscard(first.build), orDiscard(second.build)];
        const distinct = new Set<string>();
        const visit = (node: Expression): void => {
          distinct.add(String(node));
          node.operands.forEach(visit);
        };
        expressions.forEach(visit);
        const { instructions, outputs } = linearise(expressions);
        expect(instructions).toHaveLength(distinct.size);
        expect(outputs).toHaveLength(2);
        instructions.forEach(({ operands }, place) => {
          expect(operands.every((operand) => operand < place)).toBe(true);
        });
      }),
      { seed: 6, numRuns: 500 },
    );
  });

  test("share what was built twice", () => {
    const twice = mul(add(x, y), add(x, y));
    expect(linearise([twice, add(x, y)]).instructions.map(({ operation }) => operation)).toEqual([
      "variable",
      "variable",
      "add",
      "mul",
    ]);
  });

  test("say for every value which variables it depends on", () => {
    const { instructions, outputs } = linearise([mul(exp(x), add(y, 1))]);
    expect([...instructions[outputs[0]].dependsOn].sort()).toEqual(["x", "y"]);
    const exponential = instructions.find(({ operation }) => operation === "exp");
    expect([...(exponential?.dependsOn ?? [])]).toEqual(["x"]);
  });
});

describe("the row term of a score", () => {
  const isKey = (name: string): boolean => name === "x";

  test("depends on no key, and adds up with the rest to the score", () => {
    fc.assert(
      fc.property(formulas, points, (formula, point) => {
        const score = orDiscard(formula.build);
        const { row, pair } = splitRowTerm(score, isKey);
        expect([...variablesOf(row)].some(isKey)).toBe(false);
        const [whole, a, b] = [score, row, pair].map((each) => evaluate(each, point));
        fc.pre(Number.isFinite(whole));
        // The terms are added in another order: a few roundings of the largest of them.
        const size = Math.max(1, Math.abs(whole), Math.abs(a), Math.abs(b));
        fc.pre(size < 1e6);
        expect(Math.abs(a + b - whole)).toBeLessThan(1e-12 * size);
      }),
      { seed: 7, numRuns: 1000 },
    );
  });

  test("is found through sums, differences and signs", () => {
    const { row, pair } = splitRowTerm(neg(sub(mul(x, y), add(z, mul(2, y)))), isKey);
    expect(String(row)).toBe("(z + (2 * y))");
    expect(String(pair)).toBe("-((x * y))");
  });

  test("is zero where every term depends on a key", () => {
    expect(String(splitRowTerm(mul(x, y), isKey).row)).toBe("0");
  });
});

describe("substitution", () => {
  test("replaces variables and keeps the others", () => {
    fc.assert(
      fc.property(formulas, points, (formula, point) => {
        const expression = orDiscard(formula.build);
        const replaced = substitute(expression, (name) => (name === "x" ? add(y, z) : undefined));
        const expected = evaluate(expression, { ...point, x: point.y + point.z });
        expect(evaluate(replaced, point)).toBe(expected);
      }),
      { seed: 8, numRuns: 500 },
    );
  });
});

test("a variable without a number is named in the error", () => {
  const unbound = (): number => evaluate(add(x, y), { x: 1 });
  expect(unbound).toThrow(expect.objectContaining({ code: "unbound-variable" }));
  expect(unbound).toThrow(/'y' has none \(bound: x\)/);
  expect(() => evaluate(variable("toString"), {})).toThrow(
    expect.objectContaining({ code: "unbound-variable" }),
  );
});
