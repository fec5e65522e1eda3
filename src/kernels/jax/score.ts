/**
 * @file Score expressions as jax-js operations: one operation per instruction of the linearised program. Derivatives are
 * the symbolic ones, so guards hold in gradients as they do in values.
 */
import { numpy as np } from "@jax-js/jax";
import { type Expression, linearise, type Program, variablesOf } from "../../score/index.ts";
import { type Operation } from "../../score/expression.ts";
import { type ArrayOrNumber, computedOnce, signOf, sumOf } from "./array-tools.ts";
import { slopesOf } from "./slopes.ts";
import { asinh, cosh, log, log1p, logistic, sinh, tanh } from "./stable-functions.ts";

/** Arrays of the score's variables, of one rank, which broadcast against each other; or numbers. */
export type ScoreVariables = Readonly<Record<string, ArrayOrNumber>>;

/** Each consumes its arguments. */
const operations: Readonly<
  Record<Exclude<Operation, "constant" | "variable">, (a: ArrayOrNumber, b: ArrayOrNumber) => np.Array>
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
  div: (a, b) => np.trueDivide(a, b),
  min: (a, b) => np.minimum(a, b),
  max: (a, b) => np.maximum(a, b),
};

/**
 * Functions that jax-js computes number by number. A kernel that holds one does all its work that way, and finds the place
 * of every number that it reads by divisions: over all pairs they are kept apart from the arithmetic around them, which
 * then runs four numbers at a time.
 */
const slow: ReadonlySet<Operation> = new Set<Operation>([
  "exp",
  "log",
  "log1p",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "logistic",
]);

/** Instructions that may be done again for another output; more are worth an array. */
const repeatable = 6;

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
          return change === undefined ? undefined : change.ref.mul(values(index + 1));
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
  const stored = placesToStore(program, variables);
  const common = new Map<number, ArrayOrNumber>();
  return (index) => {
    const own = new Map<number, ArrayOrNumber>();
    const valueAt = (place: number): ArrayOrNumber => {
      const values = stored.has(place) ? common : own;
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
      const [a, b] = operands.map(valueAt);
      const value = operation === "div" ? quotient(a, b) : operations[operation](a, b ?? 0);
      return stored.has(place) ? computedOnce(value) : value;
    };
    return valueAt(program.outputs[index]);
  };
}

/** a/b by the reciprocal of b, which is slow. Consumes both. */
function quotient(a: ArrayOrNumber, b: ArrayOrNumber): np.Array {
  return typeof b === "number" ? np.trueDivide(a, b) : computedOnce(np.reciprocal(b)).mul(a);
}

/**
 * Places that get an array of their own: what need not be computed for every pair, slow functions of pairs and their
 * arguments, and what several outputs have in common.
 */
function placesToStore({ instructions, outputs }: Program, variables: ScoreVariables): ReadonlySet<number> {
  const sizes = instructions.map(({ dependsOn }) => sizeOver([...dependsOn].map((name) => variables[name])));
  const largest = Math.max(...sizes);
  const readers = outputsThatRead(instructions, outputs);
  const stored = new Set<number>();
  /** What is computed for a place since arrays were last stored. */
  const upstream: ReadonlySet<number>[] = [];
  const store = (place: number): void => {
    stored.add(place);
    upstream[place] = new Set();
  };
  const isSlow = (place: number): boolean => slow.has(instructions[place].operation) || instructions[place].operation === "div";
  instructions.forEach(({ operation, operands }, place) => {
    for (const operand of operands) {
      const grows = sizes[operand] < sizes[place] && [...upstream[operand]].some((each) => isSlow(each) || instructions[each].operation === "sqrt");
      const isArgument = slow.has(operation) && upstream[operand].size > 0;
      if (grows || isArgument) store(operand);
    }
    const isLeaf = operands.length === 0;
    upstream.push(new Set(isLeaf ? [] : [place, ...operands.flatMap((operand) => [...upstream[operand]])]));
    const isShared = readers[place].size > 1 && upstream[place].size > repeatable;
    const isResult = slow.has(operation) && sizes[place] === largest && !outputs.includes(place);
    if (isShared || isResult) store(place);
  });
  return stored;
}

/** For every place, which outputs depend on it. */
function outputsThatRead(instructions: Program["instructions"], outputs: readonly number[]): readonly ReadonlySet<number>[] {
  const readers = instructions.map(() => new Set<number>());
  outputs.forEach((place, output) => readers[place].add(output));
  for (let place = instructions.length - 1; place >= 0; place--) {
    for (const operand of instructions[place].operands) {
      for (const output of readers[place]) readers[operand].add(output);
    }
  }
  return readers;
}

/** How many numbers the broadcast of these variables has. */
function sizeOver(variables: readonly ArrayOrNumber[]): number {
  const shapes = variables.flatMap((variable) => (typeof variable === "number" ? [] : [variable.shape]));
  const [first = []] = shapes;
  return first
    .map((_, axis) => Math.max(...shapes.map((shape) => shape[axis])))
    .reduce((product, extent) => product * extent, 1);
}

/** Formulas of numbers alone are folded when they are written; of a number and a guard they are not. */
function array(value: ArrayOrNumber): np.Array {
  return typeof value === "number" ? np.array(value) : value;
}
