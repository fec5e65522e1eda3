/** @file Bytes of a module: type, import, function, export, code and name sections of WebAssembly's binary format. */
import {
  f32Bits,
  type Local,
  type Statement,
  type Value,
  type ValueType,
  type WasmFunction,
  type WasmModule,
} from "./assembler.ts";
import { type InstructionCode, instructions } from "./instructions.ts";

const typeCodes: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** The module's bytes, with the names of functions and locals for debuggers and profilers. */
export function encodeWasm(module: WasmModule): Uint8Array<ArrayBuffer> {
  const { functions, exports, memory } = module;
  const arities = [...new Set(functions.map(({ parameters }) => parameters.length))];
  const indexOf = new Map(functions.map((definition, index) => [definition, index]));
  const { minimum, maximum, shared } = memory;
  const sections = [
    section(1, list(arities.map((count) => [0x60, ...list(filled(count, [typeCodes.i32])), 0]))),
    section(2, [
      1,
      ...text("qklab"),
      ...text("memory"),
      2,
      shared ? 3 : 1,
      ...unsigned(minimum),
      ...unsigned(maximum),
    ]),
    section(3, list(functions.map(({ parameters }) => unsigned(arities.indexOf(parameters.length))))),
    section(
      7,
      list(
        exports.map((name) => [
          ...text(name),
          0,
          ...unsigned(functions.findIndex((definition) => definition.name === name)),
        ]),
      ),
    ),
    section(10, list(functions.map((definition) => body(definition, indexOf)))),
    section(0, [
      ...text("name"),
      ...section(1, list(functions.map(({ name }, index) => [...unsigned(index), ...text(name)]))),
      ...section(
        2,
        list(functions.map((definition, index) => [...unsigned(index), ...localNames(definition)])),
      ),
    ]),
  ];
  return Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...joined(sections)]);
}

const localNames = ({ parameters, locals }: WasmFunction): number[] => {
  const ordered = inEncodedOrder(parameters, locals);
  return list(ordered.map(({ name }, index) => [...unsigned(index), ...text(name)]));
};

/** Locals of one type follow each other, so that a group is one entry. */
function inEncodedOrder(parameters: readonly Local[], locals: readonly Local[]): readonly Local[] {
  const types = Object.keys(typeCodes);
  return [...parameters, ...locals.toSorted((a, b) => types.indexOf(a.type) - types.indexOf(b.type))];
}

function body(definition: WasmFunction, indexOf: ReadonlyMap<WasmFunction, number>): number[] {
  const { parameters, locals, name } = definition;
  const places = new Map(inEncodedOrder(parameters, locals).map((local, index) => [local, index]));
  const groups = (Object.keys(typeCodes) as ValueType[])
    .map((type) => ({ type, count: locals.filter((local) => local.type === type).length }))
    .filter(({ count }) => count > 0);
  const bytes: number[] = list(groups.map(({ type, count }) => [...unsigned(count), typeCodes[type]]));
  const labels: string[] = [];

  const placeOf = (local: Local): number => {
    const place = places.get(local);
    if (place === undefined) throw new Error(`local '${local.name}' does not belong to '${name}'`);
    return place;
  };

  const immediate = (
    { immediate: kind, alignment = 0 }: InstructionCode,
    given: Value["immediate"],
    lane = 0,
  ): void => {
    const number = typeof given === "number" ? given : 0;
    switch (kind) {
      case "none":
      case "local":
        return;
      case "i32":
        push(signed(number));
        return;
      case "f32":
        push(bytesOf(f32Bits(number)));
        return;
      case "memory":
        push([alignment, ...unsigned(number)]);
        return;
      case "memory-lane":
        push([alignment, ...unsigned(number), lane]);
        return;
      case "lane":
        bytes.push(number);
        return;
      case "bytes":
        push(vectorBytes(given));
        return;
    }
  };

  const push = (more: readonly number[]): void => {
    for (const byte of more) bytes.push(byte);
  };

  const opcode = ({ prefix, opcode: code }: InstructionCode): void =>
    prefix === undefined ? void bytes.push(code) : push([prefix, ...unsigned(code)]);

  const emit = (value: Value): void => {
    if (value.operation === "local.get") {
      push([0x20, ...unsigned(placeOf(value as Local))]);
      return;
    }
    value.operands.forEach(emit);
    const instruction = instructions[value.operation];
    opcode(instruction);
    immediate(instruction, value.immediate);
  };

  const inBlock = (label: string, statements: readonly Statement[]): void => {
    labels.push(label);
    statements.forEach(run);
    labels.pop();
  };

  const run = (statement: Statement): void => {
    switch (statement.kind) {
      case "comment":
        return;
      case "set":
        emit(statement.value);
        push([0x21, ...unsigned(placeOf(statement.local))]);
        return;
      case "store": {
        statement.operands.forEach(emit);
        const instruction = instructions[statement.operation];
        opcode(instruction);
        immediate(instruction, statement.offset, statement.lane);
        return;
      }
      case "block":
      case "loop":
        push([statement.kind === "block" ? 0x02 : 0x03, 0x40]);
        inBlock(statement.label, statement.body);
        bytes.push(0x0b);
        return;
      case "if":
        emit(statement.condition);
        push([0x04, 0x40]);
        inBlock("", statement.whenTrue);
        if (statement.whenFalse.length > 0) {
          bytes.push(0x05);
          inBlock("", statement.whenFalse);
        }
        bytes.push(0x0b);
        return;
      case "branch": {
        const depth = labels.length - 1 - labels.lastIndexOf(statement.label);
        if (statement.condition !== undefined) emit(statement.condition);
        push([statement.condition === undefined ? 0x0c : 0x0d, ...unsigned(depth)]);
        return;
      }
      case "call":
        statement.operands.forEach(emit);
        push([0x10, ...unsigned(indexOf.get(statement.callee) ?? -1)]);
        return;
    }
  };

  definition.body.forEach(run);
  bytes.push(0x0b);
  return [...unsigned(bytes.length), ...bytes];
}

/** The sixteen bytes of a vector: one number in every lane, four lanes, or the bytes themselves. */
function vectorBytes(given: Value["immediate"]): readonly number[] {
  if (typeof given === "number") return filled(4, bytesOf(given)).flat();
  if (given?.length === 4) return given.flatMap(bytesOf);
  return given ?? [];
}

const bytesOf = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];

const filled = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

/** One list of all bytes: `flat` takes many times as long, and modules are compiled while someone waits. */
function joined(parts: readonly (readonly number[])[]): number[] {
  const bytes: number[] = [];
  for (const part of parts) for (const byte of part) bytes.push(byte);
  return bytes;
}

const list = (items: readonly (readonly number[])[]): number[] => [
  ...unsigned(items.length),
  ...joined(items),
];

const text = (characters: string): number[] => {
  const bytes = new TextEncoder().encode(characters);
  return [...unsigned(bytes.length), ...bytes];
};

const section = (id: number, content: readonly number[]): number[] => [
  id,
  ...unsigned(content.length),
  ...content,
];

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest & 127;
    rest >>>= 7;
    bytes.push(rest === 0 ? byte : byte | 128);
  } while (rest !== 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 127;
    rest >>= 7;
    if ((rest === 0 && (byte & 64) === 0) || (rest === -1 && (byte & 64) !== 0)) return [...bytes, byte];
    bytes.push(byte | 128);
  }
}
