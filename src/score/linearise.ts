/**
 * @file Expressions as a straight line of instructions with common subexpressions computed once: the form that every
 * printer (JavaScript here; WebAssembly, WGSL, PyTorch) walks, one instruction a line.
 */
import { type Expression, type Operation } from "./expression.ts";

/** One instruction: `operation` applied to earlier instructions, or a leaf. */
export interface Instruction {
  readonly operation: Operation;
  /** Places of the operands in the list, always smaller than the instruction's own. */
  readonly operands: readonly number[];
  /** The number of a constant, the name of a variable. */
  readonly leaf: number | string | undefined;
  /** Names of the variables that this value depends on: what a kernel may hoist out of its inner loop. */
  readonly dependsOn: ReadonlySet<string>;
}

/** Instructions that compute several outputs together, and where each output lies. */
export interface Program {
  readonly instructions: readonly Instruction[];
  readonly outputs: readonly number[];
}

/**
 * Numbers the values of several expressions so that equal subexpressions, inside one and across all, occur once.
 *
 * @param expressions - the formulas to compute together, for example a score and its derivatives
 */
export function linearise(expressions: readonly Expression[]): Program {
  const instructions: Instruction[] = [];
  const placeOfNode = new Map<Expression, number>();
  const placeOfValue = new Map<string, number>();

  function place(node: Expression): number {
    const seen = placeOfNode.get(node);
    if (seen !== undefined) return seen;
    const operands = node.operands.map(place);
    const value = `${node.operation} ${node.leaf ?? ""} ${operands.join(" ")}`;
    let found = placeOfValue.get(value);
    if (found === undefined) {
      const dependsOn = new Set(operands.flatMap((operand) => [...instructions[operand].dependsOn]));
      if (node.operation === "variable") dependsOn.add(String(node.leaf));
      found = instructions.push({ operation: node.operation, operands, leaf: node.leaf, dependsOn }) - 1;
      placeOfValue.set(value, found);
    }
    placeOfNode.set(node, found);
    return found;
  }

  return { outputs: expressions.map(place), instructions };
}

/** The variables that occur in the expression. */
export function variablesOf(expression: Expression): ReadonlySet<string> {
  const { instructions, outputs } = linearise([expression]);
  return instructions[outputs[0]].dependsOn;
}
