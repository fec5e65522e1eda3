/** @file Prints score expressions as JavaScript in f64, and compiles them to functions. */
import { type BinaryOperation, type Expression, type UnaryOperation } from "./expression.ts";
import { type Instruction, linearise } from "./linearise.ts";

const javascript: Readonly<Record<UnaryOperation | BinaryOperation, (a: string, b: string) => string>> = {
  neg: (a) => `-${a}`,
  abs: (a) => `Math.abs(${a})`,
  sign: (a) => `(${a} > 0 ? 1 : ${a} < 0 ? -1 : 0)`,
  step: (a) => `(${a} > 0 ? 1 : 0)`,
  sqrt: (a) => `Math.sqrt(${a})`,
  exp: (a) => `Math.exp(${a})`,
  log: (a) => `Math.log(${a})`,
  log1p: (a) => `Math.log1p(${a})`,
  sinh: (a) => `Math.sinh(${a})`,
  cosh: (a) => `Math.cosh(${a})`,
  tanh: (a) => `Math.tanh(${a})`,
  asinh: (a) => `Math.asinh(${a})`,
  logistic: (a) => `1 / (1 + Math.exp(-${a}))`,
  add: (a, b) => `${a} + ${b}`,
  sub: (a, b) => `${a} - ${b}`,
  mul: (a, b) => `${a} * ${b}`,
  div: (a, b) => `${a} / ${b}`,
  min: (a, b) => `Math.min(${a}, ${b})`,
  max: (a, b) => `Math.max(${a}, ${b})`,
};

/**
 * The body of a JavaScript function that writes the values of `expressions` to `out[0…]`.
 *
 * @param expressions - formulas computed together; shared parts are computed once
 * @returns JavaScript statements over the formulas' variables and an array `out`
 */
export function printJavaScript(expressions: readonly Expression[]): string {
  const { instructions, outputs } = linearise(expressions);
  const nameOf = (place: number): string => {
    const { operation, leaf } = instructions[place];
    if (operation === "variable") return String(leaf);
    return operation === "constant" ? (Number(leaf) < 0 ? `(${leaf})` : String(leaf)) : `_${place}`;
  };
  const line = ({ operation, operands }: Instruction, place: number): string[] => {
    if (operation === "variable" || operation === "constant") return [];
    const [a, b] = operands.map(nameOf);
    return [`const _${place} = ${javascript[operation](a, b ?? "")};`];
  };
  return [
    ...instructions.flatMap(line),
    ...outputs.map((place, index) => `out[${index}] = ${nameOf(place)};`),
  ].join("\n");
}

/** A compiled set of formulas: numbers in the order of the variables in, values to `out`. */
export type CompiledScore = (out: Float64Array, ...inputs: number[]) => void;

/**
 * Compiles formulas to one JavaScript function.
 *
 * @param expressions - the formulas, computed together
 * @param inputs - names of the variables, in the order of the function's arguments after `out`
 * @example
 * ```ts
 * import { compileJavaScript, mul, variable } from "qklab";
 * const out = new Float64Array(1);
 * compileJavaScript([mul(2, variable("s"))], ["s"])(out, 21);
 * out[0]; // 42
 * ```
 */
export function compileJavaScript(
  expressions: readonly Expression[],
  inputs: readonly string[],
): CompiledScore {
  return new Function("out", ...inputs, printJavaScript(expressions)) as CompiledScore;
}
