/**
 * @file Between which numbers a value of a score lies, whatever the vectors: squared norms are not negative, parameters
 * with a positive domain neither, and what is computed from them follows. Code for arguments that cannot be negative is
 * shorter, and a maximum with 0 that never acts is left out.
 */
import { type Expression, type Operation } from "../../../score/index.ts";
import { arithmetic, type UnaryOperation } from "../../../score/expression.ts";
import { rateOfVariable } from "./rates.ts";

/** All numbers from `low` to `high`. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Names of variables that are never negative, squared norms not among them. */
export type NonNegative = ReadonlySet<string>;

const all: Interval = { low: -Infinity, high: Infinity };
const nonNegative: Interval = { low: 0, high: Infinity };

export function intervalOfVariable(name: string, positive: NonNegative): Interval {
  const isNorm = ["row", "key"].includes(rateOfVariable(name));
  return isNorm || positive.has(name) ? nonNegative : all;
}

/**
 * The interval of an operation's result, given those of its operands. Wider than it could be where that is simpler.
 *
 * @param isSquare - whether both operands are the same value
 */
export function intervalOf(
  operation: Exclude<Operation, "constant" | "variable">,
  operands: readonly Interval[],
  isSquare: boolean,
): Interval {
  const [a, b] = operands;
  switch (operation) {
    case "neg":
      return { low: -a.high, high: -a.low };
    case "abs":
      return nonNegative;
    case "sign":
      return { low: -1, high: 1 };
    case "step":
    case "logistic":
      return { low: 0, high: 1 };
    case "cosh":
      return { low: 1, high: Infinity };
    case "sqrt":
    case "exp":
    case "log":
    case "log1p":
    case "sinh":
    case "tanh":
    case "asinh":
      return growing(operation, a);
    case "add":
      return { low: a.low + b.low, high: a.high + b.high };
    case "sub":
      return { low: a.low - b.high, high: a.high - b.low };
    case "min":
      return { low: Math.min(a.low, b.low), high: Math.min(a.high, b.high) };
    case "max":
      return { low: Math.max(a.low, b.low), high: Math.max(a.high, b.high) };
    case "mul":
      if (isSquare) return nonNegative;
      return scaled(a, b, times) ?? scaled(b, a, times) ?? productOf(a, b);
    case "div":
      return scaled(a, b, (x, factor) => x / factor) ?? productOf(a, b);
  }
}

/** A function that grows takes ends to ends; where it is not defined below a number, it begins there. */
function growing(operation: UnaryOperation, { low, high }: Interval): Interval {
  const [first, last] = [low, high].map((end) => arithmetic[operation](end, 0));
  const smallest = operation === "sqrt" ? 0 : -Infinity;
  return { low: Number.isNaN(first) ? smallest : first, high: Number.isNaN(last) ? Infinity : last };
}

/** Products and quotients with a constant above 0. */
function scaled(a: Interval, b: Interval, by: (x: number, factor: number) => number): Interval | undefined {
  if (b.low !== b.high || !(b.low > 0)) return undefined;
  return { low: by(a.low, b.low), high: by(a.high, b.low) };
}

const times = (x: number, factor: number): number => x * factor;
const productOf = (a: Interval, b: Interval): Interval => (a.low >= 0 && b.low >= 0 ? nonNegative : all);

/** Intervals of expressions, each found once. */
export function intervals(positive: NonNegative): (expression: Expression) => Interval {
  const known = new Map<Expression, Interval>();
  const of = (expression: Expression): Interval => {
    let found = known.get(expression);
    if (found !== undefined) return found;
    const { operation, operands, leaf } = expression;
    if (operation === "constant") found = { low: leaf as number, high: leaf as number };
    else if (operation === "variable") found = intervalOfVariable(leaf as string, positive);
    else found = intervalOf(operation, operands.map(of), operands[0] === operands[1]);
    known.set(expression, found);
    return found;
  };
  return of;
}
