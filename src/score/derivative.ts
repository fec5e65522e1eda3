/** @file Symbolic derivatives of score expressions, by the chain rule over the shared graph. */
import {
  add,
  constant,
  cosh,
  div,
  type Expression,
  exp,
  mul,
  neg,
  sign,
  sinh,
  sqrt,
  step,
  sub,
} from "./expression.ts";

/**
 * ∂expression/∂name as an expression over the same variables.
 *
 * At a kink (`abs`, `sign`, `step`, `min`, `max`) the result is the subgradient that the forward's own rules give:
 * sign(0) = 0, and `max(a, b)` follows `a` only where a > b. Where a clamp hides an infinite slope the product 0·∞ is NaN
 * (√max(u, 0) at u = 0): write roots as √(u + guard).
 *
 * @param expression - the formula
 * @param name - the variable to differentiate by
 * @example
 * ```ts
 * import { derivative, log1p, variable } from "qklab";
 * String(derivative(log1p(variable("u")), "u")); // "(1 / (1 + u))"
 * ```
 */
export function derivative(expression: Expression, name: string): Expression {
  const known = new Map<Expression, Expression>();
  return differentiate(expression);

  function differentiate(node: Expression): Expression {
    const found = known.get(node);
    if (found !== undefined) return found;
    const result = rule(node);
    known.set(node, result);
    return result;
  }

  function rule(node: Expression): Expression {
    const [a, b] = node.operands;
    switch (node.operation) {
      case "constant":
      case "sign":
      case "step":
        return constant(0);
      case "variable":
        return constant(node.leaf === name ? 1 : 0);
      case "neg":
        return neg(differentiate(a));
      case "abs":
        return mul(differentiate(a), sign(a));
      case "sqrt":
        return div(differentiate(a), mul(2, sqrt(a)));
      case "exp":
        return mul(differentiate(a), exp(a));
      case "log":
        return div(differentiate(a), a);
      case "log1p":
        return div(differentiate(a), add(1, a));
      case "sinh":
        return mul(differentiate(a), cosh(a));
      case "cosh":
        return mul(differentiate(a), sinh(a));
      case "tanh":
        return mul(differentiate(a), sub(1, mul(node, node)));
      case "asinh":
        return div(differentiate(a), sqrt(add(1, mul(a, a))));
      case "logistic":
        return mul(differentiate(a), mul(node, sub(1, node)));
      case "add":
        return add(differentiate(a), differentiate(b));
      case "sub":
        return sub(differentiate(a), differentiate(b));
      case "mul":
        return add(mul(differentiate(a), b), mul(a, differentiate(b)));
      case "div":
        return div(sub(differentiate(a), mul(node, differentiate(b))), b);
      case "min":
        return choose(step(sub(b, a)), a, b);
      case "max":
        return choose(step(sub(a, b)), a, b);
    }
  }

  /** `first`'s derivative where `gate` is 1, `second`'s where it is 0. */
  function choose(gate: Expression, first: Expression, second: Expression): Expression {
    return add(mul(gate, differentiate(first)), mul(sub(1, gate), differentiate(second)));
  }
}
