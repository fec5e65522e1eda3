/**
 * @file All derivatives of a score in one sweep from its end to its variables, and divisions by what changes slowly turned
 * into products with reciprocals. The formulas are those of `derivative()`; what several of them share is written once.
 */
import {
  add,
  constant,
  constantOf,
  cosh,
  div,
  Expression,
  exp,
  mul,
  neg,
  sign,
  sinh,
  sqrt,
  step,
  sub,
} from "../../score/expression.ts";
import { variablesOf } from "../../score/index.ts";

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

const isRow = (name: string): boolean => /^q2(_\d+)?$/.test(name);
const isKey = (name: string): boolean => /^k2(_\d+)?$/.test(name);
const isInner = (name: string): boolean => /^s(_\d+)?$/.test(name);

/** Whether an expression changes from pair to pair. */
function isOfPairs(expression: Expression): boolean {
  const names = [...variablesOf(expression)];
  return names.some(isInner) || (names.some(isRow) && names.some(isKey));
}

/** Whether an expression that is not of pairs changes from row to row. */
const isOfRows = (expression: Expression): boolean => [...variablesOf(expression)].some(isRow);

/** The same formula, where divisors of a row, a key or a head have become reciprocals, computed once for all their pairs. */
export function withReciprocals(
  expression: Expression,
  known: Map<Expression, Expression> = new Map(),
): Expression {
  const found = known.get(expression);
  if (found !== undefined) return found;
  const result = rewrite(expression, known);
  known.set(expression, result);
  return result;
}

function rewrite(expression: Expression, known: Map<Expression, Expression>): Expression {
  if (expression.operands.length === 0) return expression;
  const [a, b] = expression.operands.map((operand) => withReciprocals(operand, known));
  if (expression.operation !== "div" || !isOfPairs(expression)) return rebuilt(expression, a, b);
  const factors = factorsOf(b);
  const slow = factors.filter((factor) => !isOfPairs(factor));
  if (slow.length === 0) return rebuilt(expression, a, b);
  const fast = factors.filter(isOfPairs);
  const groups = [slow.filter(isOfRows), slow.filter((factor) => !isOfRows(factor))].filter(
    (group) => group.length > 0,
  );
  const numerator = groups.reduce((product, group) => mul(product, div(1, group.reduce(mul))), a);
  return fast.length === 0 ? numerator : div(numerator, fast.reduce(mul));
}

function factorsOf(expression: Expression): readonly Expression[] {
  return expression.operation === "mul" ? expression.operands.flatMap(factorsOf) : [expression];
}

function rebuilt(expression: Expression, ...operands: readonly (Expression | undefined)[]): Expression {
  const given = operands.filter((operand) => operand !== undefined);
  const isSame = given.every((operand, index) => operand === expression.operands[index]);
  return isSame ? expression : new Expression(expression.operation, given, expression.leaf);
}
