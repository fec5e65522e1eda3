/**
 * @file A score before it is differentiated for a kernel: the same numbers to float32 rounding, with less to compute a
 * pair. A maximum with 0 goes where it never acts. (a − b)/(√(a+g) + √(b+g)) becomes √(a+g) − √(b+g): in float32 a and b
 * are squared norms rounded already, so that the quotient keeps no digit that the difference loses.
 */
import { constantOf, Expression, sub } from "../../../score/expression.ts";
import { intervals, type NonNegative } from "./intervals.ts";

/** The score of a kernel; `positive` names the parameters that are never negative. */
export function simplifyScore(score: Expression, positive: NonNegative): Expression {
  const known = new Map<Expression, Expression>();
  const intervalOf = intervals(positive);
  const simplify = (expression: Expression): Expression => {
    let found = known.get(expression);
    if (found === undefined) {
      found = simplified(rebuilt(expression, expression.operands.map(simplify)));
      known.set(expression, found);
    }
    return found;
  };
  const simplified = (expression: Expression): Expression => {
    const [a, b] = expression.operands;
    if (expression.operation === "max" && constantOf(b) === 0 && intervalOf(a).low >= 0) return a;
    if (expression.operation === "div") return differenceOfRoots(a, b) ?? expression;
    return expression;
  };
  return simplify(score);
}

function differenceOfRoots(numerator: Expression, denominator: Expression): Expression | undefined {
  if (numerator.operation !== "sub" || denominator.operation !== "add") return undefined;
  const [a, b] = numerator.operands;
  const [left, right] = denominator.operands;
  if (left.operation !== "sqrt" || right.operation !== "sqrt") return undefined;
  const guardOf = (root: Expression, squared: Expression): string | undefined => {
    const [sum] = root.operands;
    if (sum.operation !== "add") return undefined;
    const [first, second] = sum.operands.map(String);
    if (first === String(squared)) return second;
    return second === String(squared) ? first : undefined;
  };
  const guard = guardOf(left, a);
  return guard !== undefined && guard === guardOf(right, b) ? sub(left, right) : undefined;
}

/** The expression with other operands. */
export function rebuilt(expression: Expression, operands: readonly Expression[]): Expression {
  const isSame = operands.every((operand, index) => operand === expression.operands[index]);
  return isSame ? expression : new Expression(expression.operation, operands, expression.leaf);
}
