/** @file Evaluates score expressions in f64, node by node: the readable oracle of every printed form. */
import { DomainError } from "../base/errors.ts";
import { arithmetic, type Expression } from "./expression.ts";

/**
 * The value of the expression.
 *
 * @param expression - the formula
 * @param bindings - a number for every variable
 * @throws DomainError `unbound-variable` when a variable has no number
 * @example
 * ```ts
 * import { evaluate, mul, variable } from "qklab";
 * evaluate(mul(2, variable("s")), { s: 3 }); // 6
 * ```
 */
export function evaluate(expression: Expression, bindings: Readonly<Record<string, number>>): number {
  const known = new Map<Expression, number>();
  return visit(expression);

  function visit(node: Expression): number {
    let value = known.get(node);
    if (value === undefined) {
      value = compute(node);
      known.set(node, value);
    }
    return value;
  }

  function compute(node: Expression): number {
    if (node.operation === "constant") return node.leaf as number;
    if (node.operation === "variable") return lookUp(node.leaf as string);
    const [a, b] = node.operands;
    return arithmetic[node.operation](visit(a), b === undefined ? 0 : visit(b));
  }

  function lookUp(name: string): number {
    const value = Object.hasOwn(bindings, name) ? bindings[name] : undefined;
    if (value !== undefined) return value;
    throw new DomainError(
      "unbound-variable",
      `Cannot evaluate a score as every variable needs a number: '${name}' has none (bound: ${Object.keys(bindings).join(", ")}). ` +
        "Bind it or declare it as a parameter",
    );
  }
}
