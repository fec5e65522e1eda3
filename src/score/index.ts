/** @file Scalar score expressions: trees, derivatives, printers. */
export * from "./expression.ts";
export { derivative } from "./derivative.ts";
export { evaluate } from "./evaluate.ts";
export { type Instruction, linearise, type Program, variablesOf } from "./linearise.ts";
export { compileJavaScript, type CompiledScore, printJavaScript } from "./print-javascript.ts";
export { splitRowTerm, type SplitScore } from "./row-term.ts";
export { substitute } from "./substitute.ts";
