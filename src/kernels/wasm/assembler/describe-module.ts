/** @file What a module is, for who reads it: its text, its bytes, its functions and their size, and a name for all of it. */
import { type Statement, type Value, type WasmModule } from "./assembler.ts";
import { encodeWasm } from "./encode-wasm.ts";
import { printWat } from "./print-wat.ts";

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

/** A module in both forms; `only` names the functions that the text shows. */
export function describeModule(module: WasmModule, hash: string, only: RegExp = /./): KernelDescription {
  return {
    hash,
    functions: module.functions
      .filter(({ name }) => only.test(name))
      .map(({ name, comment, body }) => ({ name, comment, instructions: sum(body.map(instructionsOf)) })),
    text: printWat(module, only),
    bytes: encodeWasm(module),
  };
}

/** A name for a text: FNV-1a, eight digits. */
export function hashOfText(text: string): string {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
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
