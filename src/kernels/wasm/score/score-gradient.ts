/**
 * @file All derivatives of a score in one sweep from its end to its variables. The formulas are those of `derivative()`;
 * what several of them share is written once.
 */
import {
  add,
  constant,
  constantOf,
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
} from "../../../score/expression.ts";

/** ∂expression/∂name for every name that it depends on. */
export function gradients(expression: Expression, names: readonly string[]): ReadonlyMap<string, Expression> {
  const adjoints = new Map<Expression, Expression>();
  const byName = new Map<string, Expression>();
  const give = (node: Expression, amount: Expression): void => {
    if (constantOf(amount) === 0) return;
    const before = adjoints.get(node);
    adjoints.set(node, before === undefined ? amount : add(before, amount));
  };
  give(expression, constant(1));
  for (const node of fromTheEnd(expression)) {
    const adjoint = adjoints.get(node);
    if (adjoint === undefined) continue;
    if (node.operation === "variable") {
      const name = node.leaf as string;
      const before = byName.get(name);
      byName.set(name, before === undefined ? adjoint : add(before, adjoint));
    } else {
      pass(node, adjoint, give);
    }
  }
  return new Map([...byName].filter(([name]) => names.includes(name)));
}

/** Every node once, users before what they use. */
function fromTheEnd(expression: Expression): readonly Expression[] {
  const seen = new Set<Expression>();
  const order: Expression[] = [];
  const visit = (node: Expression): void => {
    if (seen.has(node)) return;
    seen.add(node);
    node.operands.forEach(visit);
    order.push(node);
  };
  visit(expression);
  return order.reverse();
}

/** Hands a node's adjoint on to its operands. */
function pass(
  node: Expression,
  adjoint: Expression,
  give: (node: Expression, amount: Expression) => void,
): void {
  const [a, b] = node.operands;
  switch (node.operation) {
    case "constant":
    case "variable":
    case "sign":
    case "step":
      return;
    case "neg":
      return give(a, neg(adjoint));
    case "abs":
      return give(a, mul(adjoint, sign(a)));
    case "sqrt":
      return give(a, div(adjoint, mul(2, node)));
    case "exp":
      return give(a, mul(adjoint, exp(a)));
    case "log":
      return give(a, div(adjoint, a));
    case "log1p":
      return give(a, div(adjoint, add(1, a)));
    case "sinh":
      return give(a, mul(adjoint, cosh(a)));
    case "cosh":
      return give(a, mul(adjoint, sinh(a)));
    case "tanh":
      return give(a, mul(adjoint, sub(1, mul(node, node))));
    case "asinh":
      return give(a, div(adjoint, sqrt(add(1, mul(a, a)))));
    case "logistic":
      return give(a, mul(adjoint, mul(node, sub(1, node))));
    case "add":
      give(a, adjoint);
      return give(b, adjoint);
    case "sub":
      give(a, adjoint);
      return give(b, neg(adjoint));
    case "mul":
      give(a, mul(adjoint, b));
      return give(b, mul(adjoint, a));
    case "div": {
      const quotient = div(adjoint, b);
      give(a, quotient);
      return give(b, neg(mul(quotient, node)));
    }
    case "min":
      return choose(step(sub(b, a)), a, b);
    case "max":
      return choose(step(sub(a, b)), a, b);
  }

  function choose(gate: Expression, first: Expression, second: Expression): void {
    give(first, mul(adjoint, gate));
    give(second, mul(adjoint, sub(1, gate)));
  }
}
