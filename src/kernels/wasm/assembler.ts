/**
 * @file A small WebAssembly assembler: functions are built as trees of named values and statements, which `encode-wasm.ts`
 * turns into bytes (with a name section) and `print-wat.ts` into text. It holds the SIMD, relaxed SIMD and scalar
 * instructions that the kernels use, and no others.
 */
import { instructions } from "./instructions.ts";

export type ValueType = "i32" | "f32" | "f64" | "v128";

/** An instruction that leaves one value, with the values that it takes. */
export interface Value {
  readonly kind: "value";
  readonly type: ValueType;
  readonly operation: string;
  readonly operands: readonly Value[];
  /** The number of a constant, the offset of a load, the lane of a lane instruction, the lanes of a shuffle. */
  readonly immediate?: number | readonly number[];
  /** The local of `local.get`. */
  readonly local?: Local;
}

/** A local variable; it is a value too, its current one. */
export interface Local extends Value {
  readonly name: string;
  readonly index: number;
}

export type Statement =
  | { readonly kind: "set"; readonly local: Local; readonly value: Value }
  | {
      readonly kind: "store";
      readonly operation: string;
      readonly operands: readonly Value[];
      readonly offset: number;
      readonly lane?: number;
    }
  | { readonly kind: "block" | "loop"; readonly label: string; readonly body: readonly Statement[] }
  | {
      readonly kind: "if";
      readonly condition: Value;
      readonly then: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | { readonly kind: "branch"; readonly label: string; readonly condition?: Value }
  | { readonly kind: "call"; readonly callee: WasmFunction; readonly operands: readonly Value[] }
  | { readonly kind: "comment"; readonly text: string };

/** A finished function. */
export interface WasmFunction {
  readonly name: string;
  /** The formula above its text. */
  readonly comment: string;
  readonly parameters: readonly Local[];
  readonly locals: readonly Local[];
  readonly body: readonly Statement[];
}

/** A module: imports one memory, exports all functions that `exports` names. */
export interface WasmModule {
  readonly header: readonly string[];
  readonly functions: readonly WasmFunction[];
  readonly exports: readonly string[];
  readonly memory: { readonly minimum: number; readonly maximum: number; readonly shared: boolean };
}

/** The value of an instruction. */
export function operation(
  name: string,
  operands: readonly Value[],
  immediate?: number | readonly number[],
): Value {
  const { result } = instructions[name];
  return {
    kind: "value",
    type: result as ValueType,
    operation: name,
    operands,
    ...(immediate === undefined ? {} : { immediate }),
  };
}

/** A pointer or a count: a number stands for a constant. */
export type Integer = Value | number;

const integer = (value: Integer): Value =>
  typeof value === "number" ? operation("i32.const", [], value) : value;
const constantOf = (value: Integer): number | undefined =>
  typeof value === "number"
    ? value
    : value.operation === "i32.const"
      ? (value.immediate as number)
      : undefined;

/** i32 arithmetic; operations on constants are done here, not in the kernel. */
export const i32 = {
  add(a: Integer, b: Integer): Value {
    const [left, right] = [constantOf(a), constantOf(b)];
    if (left !== undefined && right !== undefined) return integer(left + right);
    if (right === 0) return integer(a);
    return operation("i32.add", [integer(a), integer(b)]);
  },
  sub: (a: Integer, b: Integer): Value => operation("i32.sub", [integer(a), integer(b)]),
  mul(a: Integer, b: Integer): Value {
    const [left, right] = [constantOf(a), constantOf(b)];
    if (left !== undefined && right !== undefined) return integer(left * right);
    if (right !== undefined && right > 0 && Number.isInteger(Math.log2(right))) {
      return right === 1 ? integer(a) : operation("i32.shl", [integer(a), integer(Math.log2(right))]);
    }
    return operation("i32.mul", [integer(a), integer(b)]);
  },
  and: (a: Integer, b: Integer): Value => operation("i32.and", [integer(a), integer(b)]),
  or: (a: Integer, b: Integer): Value => operation("i32.or", [integer(a), integer(b)]),
  shiftRight: (a: Integer, b: Integer): Value => operation("i32.shr_u", [integer(a), integer(b)]),
  less: (a: Integer, b: Integer): Value => operation("i32.lt_s", [integer(a), integer(b)]),
  /** a < b of numbers without a sign, which addresses are. */
  below: (a: Integer, b: Integer): Value => operation("i32.lt_u", [integer(a), integer(b)]),
  equal: (a: Integer, b: Integer): Value => operation("i32.eq", [integer(a), integer(b)]),
  notEqual: (a: Integer, b: Integer): Value => operation("i32.ne", [integer(a), integer(b)]),
  /** The smaller of two signed numbers. */
  min: (a: Integer, b: Integer): Value => operation("select", [integer(a), integer(b), i32.less(a, b)]),
  load: (address: Integer, offset = 0): Value => operation("i32.load", [integer(address)], offset),
};

/** f32 and f64 scalars. */
export const scalar = {
  f32: (value: number): Value => operation("f32.const", [], value),
  load: (address: Value, offset = 0): Value => operation("f32.load", [address], offset),
  load64: (address: Value, offset = 0): Value => operation("f64.load", [address], offset),
  promote: (value: Value): Value => operation("f64.promote_f32", [value]),
  add: (a: Value, b: Value): Value => operation(`${a.type}.add`, [a, b]),
  mul: (a: Value, b: Value): Value => operation(`${a.type}.mul`, [a, b]),
};

type Unary = (a: Value) => Value;
type Binary = (a: Value, b: Value) => Value;
const two =
  (name: string): Binary =>
  (a, b) =>
    operation(name, [a, b]);
const one =
  (name: string): Unary =>
  (a) =>
    operation(name, [a]);

/** Four float32 lanes, and the bit operations on them. */
export const f32x4 = {
  constant: (value: number): Value => operation("v128.const", [], f32Bits(value)),
  bits: (value: number): Value => operation("v128.const", [], value | 0),
  lanes: (values: readonly [number, number, number, number]): Value => operation("v128.const", [], values),
  load: (address: Value, offset = 0): Value => operation("v128.load", [address], offset),
  splatAt: (address: Value, offset = 0): Value => operation("v128.load32_splat", [address], offset),
  splat: one("f32x4.splat") as Unary,
  splatInteger: one("i32x4.splat") as Unary,
  first: (vector: Value): Value => operation("f32x4.extract_lane", [vector], 0),
  add: two("f32x4.add") as Binary,
  sub: two("f32x4.sub") as Binary,
  mul: two("f32x4.mul") as Binary,
  div: two("f32x4.div") as Binary,
  /** a < b ? a : b, without the rules of NaN and of −0. */
  min: (a: Value, b: Value): Value => operation("f32x4.pmin", [a, b]),
  max: (a: Value, b: Value): Value => operation("f32x4.pmax", [a, b]),
  sqrt: one("f32x4.sqrt") as Unary,
  abs: one("f32x4.abs") as Unary,
  neg: one("f32x4.neg") as Unary,
  greater: two("f32x4.gt") as Binary,
  less: two("f32x4.lt") as Binary,
  equal: two("f32x4.eq") as Binary,
  notEqual: two("f32x4.ne") as Binary,
  and: two("v128.and") as Binary,
  andNot: two("v128.andnot") as Binary,
  or: two("v128.or") as Binary,
  xor: two("v128.xor") as Binary,
  /** `chosen` where the bits of `mask` are set, `other` elsewhere. */
  select: (chosen: Value, other: Value, mask: Value): Value =>
    operation("v128.bitselect", [chosen, other, mask]),
  shuffle: (a: Value, b: Value, lanes: readonly [number, number, number, number]): Value =>
    operation(
      "i8x16.shuffle",
      [a, b],
      lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)),
    ),
};

/** Four int32 lanes. */
export const i32x4 = {
  add: two("i32x4.add") as Binary,
  sub: two("i32x4.sub") as Binary,
  shiftLeft: (a: Value, bits: number): Value => operation("i32x4.shl", [a, integer(bits)]),
  shiftRight: (a: Value, bits: number): Value => operation("i32x4.shr_s", [a, integer(bits)]),
  shiftRightUnsigned: (a: Value, bits: number): Value => operation("i32x4.shr_u", [a, integer(bits)]),
  less: two("i32x4.lt_s") as Binary,
  greater: two("i32x4.gt_s") as Binary,
  equal: two("i32x4.eq") as Binary,
  notEqual: two("i32x4.ne") as Binary,
  toFloat: one("f32x4.convert_i32x4_s") as Unary,
  lane: (vector: Value, lane: number): Value => operation("i32x4.extract_lane", [vector], lane),
  bytes: (address: Value, offset = 0): Value => operation("v128.load32_zero", [address], offset),
  widenLow: one("i32x4.extend_low_i16x8_u") as Unary,
  widenBytes: one("i16x8.extend_low_i8x16_u") as Unary,
};

const floats = new Float32Array(1);
const bits = new Int32Array(floats.buffer);

/** The bits of the nearest float32 as a signed integer. */
export function f32Bits(value: number): number {
  floats[0] = value;
  return bits[0];
}

/** Builds one function, statement by statement. */
export class FunctionBuilder {
  readonly #locals: Local[] = [];
  readonly #names = new Map<string, number>();
  #labels = 0;
  #body: Statement[] = [];
  readonly parameters: readonly Local[];
  /** Whether the engine multiplies and adds in one instruction. */
  readonly relaxed: boolean;

  constructor(parameterNames: readonly string[], relaxed: boolean) {
    this.relaxed = relaxed;
    this.parameters = parameterNames.map((name) => this.#newLocal("i32", name));
    this.#locals.length = 0;
  }

  get locals(): readonly Local[] {
    return this.#locals;
  }

  get body(): readonly Statement[] {
    return this.#body;
  }

  #count = 0;
  #newLocal(type: ValueType, name: string): Local {
    const used = this.#names.get(name) ?? 0;
    this.#names.set(name, used + 1);
    const local = {
      kind: "value" as const,
      type,
      operation: "local.get",
      operands: [],
      name: used === 0 ? name : `${name}.${used}`,
      index: this.#count++,
    };
    this.#locals.push(local);
    return local;
  }

  /** A new local. */
  local(type: ValueType, name: string): Local {
    return this.#newLocal(type, name);
  }

  /** A new local that holds the value. */
  let(name: string, value: Integer): Local {
    const held = integer(value);
    const local = this.#newLocal(held.type, name);
    this.set(local, held);
    return local;
  }

  set(local: Local, value: Integer): void {
    this.#body.push({ kind: "set", local, value: integer(value) });
  }

  /** Stores a vector, a float or an integer, by its type. */
  store(address: Value, value: Value, offset = 0): void {
    const name = value.type === "v128" ? "v128.store" : `${value.type}.store`;
    this.#body.push({ kind: "store", operation: name, operands: [address, value], offset });
  }

  /** Stores one lane of a vector. */
  storeLane(address: Value, value: Value, lane: number, offset = 0): void {
    this.#body.push({
      kind: "store",
      operation: "v128.store32_lane",
      operands: [address, value],
      offset,
      lane,
    });
  }

  call(callee: WasmFunction, ...operands: readonly Integer[]): void {
    this.#body.push({ kind: "call", callee, operands: operands.map(integer) });
  }

  comment(text: string): void {
    this.#body.push({ kind: "comment", text });
  }

  #inside(build: () => void): readonly Statement[] {
    const outer = this.#body;
    this.#body = [];
    build();
    const inner = this.#body;
    this.#body = outer;
    return inner;
  }

  if(condition: Value, then: () => void, otherwise: () => void = () => {}): void {
    this.#body.push({ kind: "if", condition, then: this.#inside(then), otherwise: this.#inside(otherwise) });
  }

  /** Repeats `body` while `counter` < stop (as numbers without a sign), stepping it; not at all when start ≥ stop. */
  for(counter: Local, start: Integer, stop: Integer, step: number, body: () => void): void {
    const label = `for.${this.#labels++}`;
    const [first, last] = [constantOf(start), constantOf(stop)];
    this.set(counter, start);
    const runs = first !== undefined && last !== undefined ? first < last : undefined;
    if (runs === false) return;
    const inner = this.#inside(() => {
      body();
      this.set(counter, i32.add(counter, step));
      this.#body.push({ kind: "branch", label, condition: i32.below(counter, stop) });
    });
    const loop: Statement = { kind: "loop", label, body: inner };
    if (runs === true) this.#body.push(loop);
    else this.#body.push({ kind: "if", condition: i32.below(counter, stop), then: [loop], otherwise: [] });
  }

  /** a·b + c */
  madd(a: Value, b: Value, c: Value): Value {
    return this.relaxed ? operation("f32x4.relaxed_madd", [a, b, c]) : f32x4.add(f32x4.mul(a, b), c);
  }

  /** The sum of four lanes, in every lane; always in the same order. */
  sumLanes(vector: Value): Value {
    const all = this.let("lanes", vector);
    this.set(all, f32x4.add(all, f32x4.shuffle(all, all, [2, 3, 0, 1])));
    return f32x4.add(all, f32x4.shuffle(all, all, [1, 0, 3, 2]));
  }

  /** The largest of four lanes, in every lane. */
  maxLanes(vector: Value): Value {
    const all = this.let("lanes", vector);
    this.set(all, f32x4.max(all, f32x4.shuffle(all, all, [2, 3, 0, 1])));
    return f32x4.max(all, f32x4.shuffle(all, all, [1, 0, 3, 2]));
  }
}

/** Builds a function whose parameters are integers. */
export function defineFunction(
  name: string,
  comment: string,
  parameterNames: readonly string[],
  relaxed: boolean,
  build: (builder: FunctionBuilder, ...parameters: Local[]) => void,
): WasmFunction {
  const builder = new FunctionBuilder(parameterNames, relaxed);
  build(builder, ...builder.parameters);
  return { name, comment, parameters: builder.parameters, locals: builder.locals, body: builder.body };
}
