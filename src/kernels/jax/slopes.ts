/**
 * @file The derivatives of a score by all its variables together, by the chain rule from the outside in: what they have in
 * common is one expression, which the chain rule of `derivative`, variable by variable, would build once for each.
 */
import { add, constant, derivative, Expression, mul, substitute, variable } from "../../score/index.ts";

/**
 * ∂expression/∂name for every name, with the subgradients of `derivative` at kinks.
 *
 * @param expression - the formula
 * @param names - variables
 */
export function slopesOf(expression: Expression, names: readonly string[]): readonly Expression[] {
  const adjoints = new Map<Expression, Expression>([[expression, constant(1)]]);
  const found = new Map<string, Expression>();
  for (const node of orderedNodes(expression).reverse()) {
    const adjoint = adjoints.get(node);
    if (adjoint === undefined) continue;
    if (node.operation === "variable") {
      const name = String(node.leaf);
      found.set(name, add(found.get(name) ?? 0, adjoint));
    }
    node.operands.forEach((operand, index) => {
      const part = mul(adjoint, partial(node, index));
      adjoints.set(operand, add(adjoints.get(operand) ?? 0, part));
    });
  }
  return names.map((name) => found.get(name) ?? constant(0));
}

/** Every node once, operands before what reads them. */
function orderedNodes(expression: Expression): Expression[] {
  const nodes: Expression[] = [];
  const seen = new Set<Expression>();
  const visit = (node: Expression): void => {
    if (seen.has(node)) return;
    seen.add(node);
    node.operands.forEach(visit);
    nodes.push(node);
  };
  visit(expression);
  return nodes;
}

const placeholders = ["first", "second"];

/** ∂node/∂operand: the rule of the node's operation over placeholders, with the operands in their places. */
function partial(node: Expression, index: number): Expression {
  const rule = new Expression(
    node.operation,
    node.operands.map((_, place) => variable(placeholders[place])),
  );
  return substitute(
    derivative(rule, placeholders[index]),
    (name) => node.operands[placeholders.indexOf(name)],
  );
}
