/** @file The kernel of an attention as text, for who wants to read what runs, and as the bytes that the text stands for. */
import { type Composition } from "../../../attention/index.ts";
import { type Statement, type Value, type WasmModule } from "../assembler/assembler.ts";
import { emitKernel, hashOf } from "./emit-kernel.ts";
import { encodeWasm } from "../assembler/encode-wasm.ts";
import { kernelSpec } from "./kernel-spec.ts";
import { printWat } from "../assembler/print-wat.ts";
import { requireSupported } from "./supported.ts";

/** What the text depends on beside the attention. */
export interface EmitOptions {
  /** D (default 64). */
  readonly width?: number;
  /** E (default D). */
  readonly valueWidth?: number;
  /** Multiply and add in one instruction (default true). */
  readonly relaxed?: boolean;
  /** Whether calls have a bias, a mask (default false). */
  readonly hasBias?: boolean;
  readonly hasMask?: boolean;
  /** The functions to print (default all). */
  readonly only?: RegExp;
}

/** One function of a kernel. */
export interface FunctionDescription {
  readonly name: string;
  /** The formula above its text. */
  readonly comment: string;
  /** Instructions of its body, those of a loop once. */
  readonly instructions: number;
}

/** A kernel in both forms. */
export interface KernelDescription {
  /** Names the code: equal for all attentions that run the same. */
  readonly hash: string;
  /** The functions that `only` asks for. */
  readonly functions: readonly FunctionDescription[];
  /** The WAT of these functions. */
  readonly text: string;
  /** The whole module, whose name section holds the names of the text. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The kernel as WAT, the formula above every function; the same attention always gives the same text. */
export function emitWat(composition: Composition, options: EmitOptions = {}): string {
  return printWat(moduleOf(composition, options).module, options.only);
}

/**
 * The kernel as text and as bytes, and what its functions are.
 *
 * @throws UnsupportedError `wasm-part` for parts that the kernels do not know, ShapeError for widths that parts do not take
 * @example
 * ```ts
 * import { causal, compose, l2 } from "qklab";
 * import { describeKernel } from "qklab/wasm";
 * const { text, functions } = describeKernel(compose({ similarity: l2(), pattern: causal() }), { width: 16 });
 * functions.some(({ name }) => name === "forward"); // true
 * text.includes("(func $forward"); // true
 * ```
 */
export function describeKernel(composition: Composition, options: EmitOptions = {}): KernelDescription {
  const { module, hash } = moduleOf(composition, options);
  const { only = /./ } = options;
  return {
    hash,
    functions: module.functions
      .filter(({ name }) => only.test(name))
      .map(({ name, comment, body }) => ({ name, comment, instructions: sum(body.map(instructionsOf)) })),
    text: printWat(module, only),
    bytes: encodeWasm(module),
  };
}

function moduleOf(
  composition: Composition,
  options: EmitOptions,
): { readonly module: WasmModule; readonly hash: string } {
  requireSupported(composition);
  const { width = 64, valueWidth = width, relaxed = true, hasBias = false, hasMask = false } = options;
  const call = { width, valueWidth, hasBias, hasMask };
  const spec = kernelSpec(composition, call, { relaxed, shared: true });
  return { module: emitKernel(spec).module, hash: hashOf(spec) };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const ofValues = (values: readonly Value[]): number =>
  sum(values.map(({ operands }) => 1 + ofValues(operands)));

function instructionsOf(statement: Statement): number {
  const inside = (statements: readonly Statement[]): number => sum(statements.map(instructionsOf));
  switch (statement.kind) {
    case "comment":
      return 0;
    case "set":
      return 1 + ofValues([statement.value]);
    case "store":
    case "call":
      return 1 + ofValues(statement.operands);
    case "block":
    case "loop":
      return 1 + inside(statement.body);
    case "if":
      return 1 + ofValues([statement.condition]) + inside(statement.whenTrue) + inside(statement.whenFalse);
    case "branch":
      return 1 + ofValues(statement.condition === undefined ? [] : [statement.condition]);
  }
}
