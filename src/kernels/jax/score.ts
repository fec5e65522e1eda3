/**
 * @file Score expressions as jax-js operations: one operation per instruction of the linearised program. Derivatives are
 * the symbolic ones, so guards hold in gradients as they do in values.
 */
import { numpy as np } from "@jax-js/jax";
import { type Expression, linearise, variablesOf } from "../../score/index.ts";
import { type Operation } from "../../score/expression.ts";
import { type ArrayOrNumber, computedOnce, signOf, stored, sumOf } from "./array-tools.ts";
import { placesToStore } from "./places-to-store.ts";
import { slopesOf } from "./slopes.ts";
import { asinh, cosh, log, log1p, logistic, sinh, tanh } from "./stable-functions.ts";

/** Arrays of the score's variables, of one rank, which broadcast against each other; or numbers. */
export type ScoreVariables = Readonly<Record<string, ArrayOrNumber>>;

/** Each consumes its arguments. */
const operations: Readonly<
  Record<
    Exclude<Operation, "constant" | "variable" | "div">,
    (a: ArrayOrNumber, b: ArrayOrNumber) => np.Array
  >
> = {
  neg: (a) => np.negative(a),
  abs: (a) => np.maximum(array(a).ref, np.negative(a)),
  sign: (a) => signOf(array(a)),
  step: (a) => np.where(np.greater(a, 0), 1, 0),
  sqrt: (a) => np.sqrt(a),
  exp: (a) => np.exp(a),
  log: (a) => log(array(a)),
  log1p: (a) => log1p(array(a)),
  sinh: (a) => sinh(array(a)),
  cosh: (a) => cosh(array(a)),
  tanh: (a) => tanh(array(a)),
  asinh: (a) => asinh(array(a)),
  logistic: (a) => logistic(array(a)),
  add: (a, b) => np.add(a, b),
  sub: (a, b) => np.subtract(a, b),
  mul: (a, b) => np.multiply(a, b),
  min: (a, b) => np.minimum(a, b),
  max: (a, b) => np.maximum(a, b),
};

/** A score over arrays. */
export interface Score {
  readonly value: () => ArrayOrNumber;
  /** The change of the score, Σ ∂score/∂x·dx over the variables that change; `undefined` when none does. */
  readonly tangent: (changes: Readonly<Record<string, np.Array>>) => np.Array | undefined;
}

/**
 * A score whose value and change are computed when they are asked for; what is heavy and common to them is computed once.
 *
 * @param expression - the formula
 * @param variables - its variables
 * @param isDifferentiated - whether `tangent` will be asked for
 */
export function scoreOf(expression: Expression, variables: ScoreVariables, isDifferentiated: boolean): Score {
  const names = [...variablesOf(expression)].filter((name) => typeof variables[name] !== "number");
  const slopes = isDifferentiated ? slopesOf(expression, names) : [];
  const values = lazyValues([expression, ...slopes], variables);
  return {
    value: () => values(0),
    tangent: (changes) =>
      sumOf(
        names.map((name, index) => {
          const change = changes[name];
          if (change === undefined) return undefined;
          const slope = values(index + 1);
          return slope === 0 ? undefined : change.ref.mul(slope);
        }),
      ),
  };
}

/** The values of several expressions, each computed when it is asked for. */
export function lazyValues(
  expressions: readonly Expression[],
  variables: ScoreVariables,
): (index: number) => ArrayOrNumber {
  const program = linearise(expressions);
  const isStored = placesToStore(program, (name) => shapeOf(variables[name]));
  const common = new Map<number, ArrayOrNumber>();
  const reciprocals = new Map<number, ArrayOrNumber>();
  return (index) => {
    const own = new Map<number, ArrayOrNumber>();
    const valueAt = (place: number): ArrayOrNumber => {
      const values = isStored.has(place) ? common : own;
      let value = values.get(place);
      if (value === undefined) {
        value = compute(place);
        values.set(place, value);
      }
      return typeof value === "number" ? value : value.ref;
    };
    const compute = (place: number): ArrayOrNumber => {
      const { operation, operands, leaf } = program.instructions[place];
      if (operation === "constant") return Number(leaf);
      if (operation === "variable") return variables[String(leaf)];
      const value =
        operation === "div"
          ? np.multiply(valueAt(operands[0]), reciprocalAt(operands[1]))
          : operations[operation](valueAt(operands[0]), operands.length > 1 ? valueAt(operands[1]) : 0);
      return isStored.has(place) ? stored(computedOnce(value)) : value;
    };
    /** Reciprocals are slow, and common to a quotient and its slopes. */
    const reciprocalAt = (place: number): ArrayOrNumber => {
      const value = reciprocals.get(place) ?? reciprocalOf(valueAt(place));
      reciprocals.set(place, value);
      return typeof value === "number" ? value : value.ref;
    };
    return valueAt(program.outputs[index]);
  };
}

function shapeOf(value: ArrayOrNumber): readonly number[] {
  return typeof value === "number" ? [] : value.shape;
}

function reciprocalOf(value: ArrayOrNumber): ArrayOrNumber {
  return typeof value === "number" ? 1 / value : stored(computedOnce(np.reciprocal(value)));
}

/** Formulas of numbers alone are folded when they are written; of a number and a guard they are not. */
function array(value: ArrayOrNumber): np.Array {
  return typeof value === "number" ? np.array(value) : value;
}
