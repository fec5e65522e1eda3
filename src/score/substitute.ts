/** @file Replaces variables of an expression: how a product renames the variables of its members. */
import { Expression } from "./expression.ts";

/**
 * The expression with variables replaced; variables that `replace` returns unchanged stay.
 *
 * @param expression - the formula
 * @param replace - the replacement of a variable of that name, or `undefined` to keep it
 */
export function substitute(
  expression: Expression,
  replace: (name: string) => Expression | undefined,
): Expression {
  const known = new Map<Expression, Expression>();
  return visit(expression);

  function visit(node: Expression): Expression {
    const found = known.get(node);
    if (found !== undefined) return found;
    const result =
      node.operation === "variable"
        ? (replace(node.leaf as string) ?? node)
        : new Expression(node.operation, node.operands.map(visit), node.leaf);
    known.set(node, result);
    return result;
  }
}
