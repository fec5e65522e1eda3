/** @file Text of a module: WebAssembly's text format with the names of functions and locals and the formula above each. */
import { type Local, type Statement, type Value, type WasmFunction, type WasmModule } from "./assembler.ts";

/** The module as WAT; the same module always gives the same text. `only`: the functions to print, of a module too long to read. */
export function printWat({ header, functions, exports, memory }: WasmModule, only: RegExp = /./): string {
  const { minimum, maximum, shared } = memory;
  const printed = functions.filter(({ name }) => only.test(name));
  return [
    ...header.map((line) => `;; ${line}`),
    "(module",
    `  (import "qklab" "memory" (memory ${minimum} ${maximum}${shared ? " shared" : ""}))`,
    ...printed.flatMap((definition) => printFunction(definition).map((line) => `  ${line}`)),
    ...exports.map((name) => `  (export "${name}" (func $${name}))`),
    ")",
    "",
  ].join("\n");
}

function printFunction({ name, comment, parameters, locals, body }: WasmFunction): string[] {
  const parameterText = parameters.map((parameter) => ` (param $${parameter.name} i32)`).join("");
  return [
    "",
    `;; ${comment}`,
    `(func $${name}${parameterText}`,
    ...inLines(locals.map((local) => `(local $${local.name} ${local.type})`)),
    ...body.flatMap(printStatement).map((line) => `  ${line}`),
    ")",
  ];
}

/** Declarations joined to lines of a readable length. */
function inLines(declarations: readonly string[]): string[] {
  const lines: string[] = [];
  for (const declaration of declarations) {
    const last = lines.at(-1);
    if (last === undefined || last.length + declaration.length > 110) lines.push(`  ${declaration}`);
    else lines[lines.length - 1] = `${last} ${declaration}`;
  }
  return lines;
}

function printStatement(statement: Statement): string[] {
  const inside = (statements: readonly Statement[]): string[] =>
    statements.flatMap(printStatement).map((line) => `  ${line}`);
  switch (statement.kind) {
    case "comment":
      return [`;; ${statement.text}`];
    case "set":
      return [`(local.set $${statement.local.name} ${printValue(statement.value)})`];
    case "store": {
      const { operation, operands, offset, lane } = statement;
      const place = `${offset === 0 ? "" : ` offset=${offset}`}${lane === undefined ? "" : ` ${lane}`}`;
      return [`(${operation}${place} ${operands.map(printValue).join(" ")})`];
    }
    case "block":
    case "loop":
      return [`(${statement.kind} $${statement.label}`, ...inside(statement.body), ")"];
    case "if": {
      const otherwise =
        statement.whenFalse.length === 0 ? [] : ["(else", ...inside(statement.whenFalse), ")"];
      return [
        `(if ${printValue(statement.condition)}`,
        "(then",
        ...inside(statement.whenTrue),
        ")",
        ...otherwise,
        ")",
      ];
    }
    case "branch":
      return statement.condition === undefined
        ? [`(br $${statement.label})`]
        : [`(br_if $${statement.label} ${printValue(statement.condition)})`];
    case "call":
      return [`(call $${statement.callee.name} ${statement.operands.map(printValue).join(" ")})`];
  }
}

function printValue(value: Value): string {
  if (value.operation === "local.get") return `(local.get $${(value as Local).name})`;
  const operands = value.operands.map((operand) => ` ${printValue(operand)}`).join("");
  return `(${value.operation}${printImmediate(value)}${operands})`;
}

function printImmediate({ operation, immediate }: Value): string {
  if (immediate === undefined) return "";
  if (operation === "v128.const") {
    const four = typeof immediate === "number" ? [immediate, immediate, immediate, immediate] : immediate;
    return ` i32x4 ${four.map((lane) => `0x${(lane >>> 0).toString(16).padStart(8, "0")}`).join(" ")}`;
  }
  if (typeof immediate !== "number") return ` ${immediate.join(" ")}`;
  if (/load/.test(operation)) return immediate === 0 ? "" : ` offset=${immediate}`;
  return ` ${immediate}`;
}
