/**
 * @file Scalar expression trees: the language in which a similarity's score is written. One tree is evaluated in f64,
 * differentiated symbolically and printed for every backend, so a formula exists once.
 */
import { DomainError } from "../base/errors.ts";

/** Operations of one argument. `step(x)` is 1 where x > 0, else 0; `sign(0)` is 0. */
export const unaryOperations = [
  "neg",
  "abs",
  "sign",
  "step",
  "sqrt",
  "exp",
  "log",
  "log1p",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "logistic",
] as const;

/** Operations of two arguments. */
export const binaryOperations = ["add", "sub", "mul", "div", "min", "max"] as const;

export type UnaryOperation = (typeof unaryOperations)[number];
export type BinaryOperation = (typeof binaryOperations)[number];
export type Operation = "constant" | "variable" | UnaryOperation | BinaryOperation;

/** Anything that stands for a scalar in a formula: an expression, or a number that becomes a constant. */
export type Scalar = Expression | number;

/**
 * A node of a scalar expression. Immutable; made by the functions of this file, which fold constants and drop neutral
 * elements, so that derivatives stay small.
 *
 * @example
 * ```ts
 * import { log1p, variable } from "qklab";
 * const u = variable("u");
 * String(log1p(u.mul(2)).neg()); // "-(log1p((u * 2)))"
 * ```
 */
export class Expression {
  readonly operation: Operation;
  readonly operands: readonly Expression[];
  /** The number of a constant, the name of a variable. */
  readonly leaf: number | string | undefined;

  constructor(operation: Operation, operands: readonly Expression[], leaf?: number | string) {
    this.operation = operation;
    this.operands = operands;
    this.leaf = leaf;
  }

  add(other: Scalar): Expression {
    return add(this, other);
  }
  sub(other: Scalar): Expression {
    return sub(this, other);
  }
  mul(other: Scalar): Expression {
    return mul(this, other);
  }
  div(other: Scalar): Expression {
    return div(this, other);
  }
  neg(): Expression {
    return neg(this);
  }
  square(): Expression {
    return mul(this, this);
  }

  toString(): string {
    const [left, right] = this.operands;
    switch (this.operation) {
      case "constant":
      case "variable":
        return String(this.leaf);
      case "neg":
        return `-(${left})`;
      case "add":
        return `(${left} + ${right})`;
      case "sub":
        return `(${left} - ${right})`;
      case "mul":
        return `(${left} * ${right})`;
      case "div":
        return `(${left} / ${right})`;
      default:
        return `${this.operation}(${this.operands.join(", ")})`;
    }
  }
}

/** The number as an expression. */
export function constant(value: number): Expression {
  if (!Number.isFinite(value)) {
    throw new DomainError(
      "expression-constant",
      `Cannot write a constant into a score as it must be finite: ${value}. Mask a pair by a pattern instead of an infinite score`,
    );
  }
  // −0 would print as 0 and share its place with it, so the printed form would differ in the sign of a zero.
  return new Expression("constant", [], value === 0 ? 0 : value);
}

/** Words that a printed formula cannot use as names: JavaScript's own, and those that the printer adds. */
const reservedNames: ReadonlySet<string> = new Set(
  (
    "await break case catch class const continue debugger default delete do else enum export extends false finally for " +
    "function if import in instanceof let new null return static super switch this throw true try typeof var void while " +
    "with yield Math out"
  ).split(" "),
);

/**
 * A named input of the formula: an inner reduction, a squared norm or a parameter.
 *
 * @param name - a letter, then letters, digits and `_`
 * @throws DomainError `variable-name` when a printed formula could not use the name
 */
export function variable(name: string): Expression {
  if (!/^[A-Za-z]\w*$/.test(name) || reservedNames.has(name)) {
    throw new DomainError(
      "variable-name",
      `Cannot name a variable of a score as names are a letter, then letters, digits and _, and no word of JavaScript: '${name}'. ` +
        "Choose another name, such as tau",
    );
  }
  return new Expression("variable", [], name);
}

function toExpression(scalar: Scalar): Expression {
  return typeof scalar === "number" ? constant(scalar) : scalar;
}

/** The number of a constant expression, `undefined` for all others. */
export function constantOf(expression: Expression): number | undefined {
  return expression.operation === "constant" ? (expression.leaf as number) : undefined;
}

/** What each operation computes, in f64. */
export const arithmetic: Readonly<
  Record<UnaryOperation | BinaryOperation, (a: number, b: number) => number>
> = {
  neg: (a) => -a,
  abs: Math.abs,
  sign: (a) => (a > 0 ? 1 : a < 0 ? -1 : 0),
  step: (a) => (a > 0 ? 1 : 0),
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  log1p: Math.log1p,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  logistic: (a) => 1 / (1 + Math.exp(-a)),
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
};

function unary(operation: UnaryOperation, scalar: Scalar): Expression {
  const operand = toExpression(scalar);
  const value = constantOf(operand);
  return value === undefined
    ? new Expression(operation, [operand])
    : constant(arithmetic[operation](value, 0));
}

function binary(operation: BinaryOperation, a: Scalar, b: Scalar): Expression {
  const left = toExpression(a);
  const right = toExpression(b);
  const leftValue = constantOf(left);
  const rightValue = constantOf(right);
  return leftValue !== undefined && rightValue !== undefined
    ? constant(arithmetic[operation](leftValue, rightValue))
    : new Expression(operation, [left, right]);
}

const isZero = (scalar: Scalar): boolean => constantOf(toExpression(scalar)) === 0;
const isOne = (scalar: Scalar): boolean => constantOf(toExpression(scalar)) === 1;

export function add(a: Scalar, b: Scalar): Expression {
  if (isZero(a)) return toExpression(b);
  if (isZero(b)) return toExpression(a);
  return binary("add", a, b);
}

export function sub(a: Scalar, b: Scalar): Expression {
  if (isZero(b)) return toExpression(a);
  if (isZero(a)) return neg(b);
  return binary("sub", a, b);
}

export function mul(a: Scalar, b: Scalar): Expression {
  if (isZero(a) || isZero(b)) return constant(0);
  if (isOne(a)) return toExpression(b);
  if (isOne(b)) return toExpression(a);
  return binary("mul", a, b);
}

export function div(a: Scalar, b: Scalar): Expression {
  if (isZero(a) && !isZero(b)) return constant(0);
  if (isOne(b)) return toExpression(a);
  return binary("div", a, b);
}

export function neg(scalar: Scalar): Expression {
  const operand = toExpression(scalar);
  return operand.operation === "neg" ? operand.operands[0] : unary("neg", operand);
}

export const min = (a: Scalar, b: Scalar): Expression => binary("min", a, b);
export const max = (a: Scalar, b: Scalar): Expression => binary("max", a, b);
export const abs = (x: Scalar): Expression => unary("abs", x);
export const sign = (x: Scalar): Expression => unary("sign", x);
export const step = (x: Scalar): Expression => unary("step", x);
export const sqrt = (x: Scalar): Expression => unary("sqrt", x);
export const exp = (x: Scalar): Expression => unary("exp", x);
export const log = (x: Scalar): Expression => unary("log", x);
export const log1p = (x: Scalar): Expression => unary("log1p", x);
export const sinh = (x: Scalar): Expression => unary("sinh", x);
export const cosh = (x: Scalar): Expression => unary("cosh", x);
export const tanh = (x: Scalar): Expression => unary("tanh", x);
export const asinh = (x: Scalar): Expression => unary("asinh", x);
export const logistic = (x: Scalar): Expression => unary("logistic", x);
