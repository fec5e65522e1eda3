/** @file Values of a kernel: instructions as trees, and functions named like them that build the trees. */
import { instructions, type ValueType } from "./instructions.ts";

export { type ValueType } from "./instructions.ts";

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

export const integer = (value: Integer): Value =>
  typeof value === "number" ? operation("i32.const", [], value) : value;
export const constantOf = (value: Integer): number | undefined =>
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
  shiftLeft: (a: Integer, b: Integer): Value => operation("i32.shl", [integer(a), integer(b)]),
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

/** Four float32 lanes, and the bit operations on them. */
export const f32x4 = {
  constant: (value: number): Value => operation("v128.const", [], f32Bits(value)),
  bits: (value: number): Value => operation("v128.const", [], value | 0),
  lanes: (values: readonly [number, number, number, number]): Value => operation("v128.const", [], values),
  load: (address: Value, offset = 0): Value => operation("v128.load", [address], offset),
  splatAt: (address: Value, offset = 0): Value => operation("v128.load32_splat", [address], offset),
  splat: (a: Value): Value => operation("f32x4.splat", [a]),
  splatInteger: (a: Value): Value => operation("i32x4.splat", [a]),
  first: (vector: Value): Value => operation("f32x4.extract_lane", [vector], 0),
  add: (a: Value, b: Value): Value => operation("f32x4.add", [a, b]),
  sub: (a: Value, b: Value): Value => operation("f32x4.sub", [a, b]),
  mul: (a: Value, b: Value): Value => operation("f32x4.mul", [a, b]),
  div: (a: Value, b: Value): Value => operation("f32x4.div", [a, b]),
  /** a < b ? a : b, without the rules of NaN and of −0. */
  min: (a: Value, b: Value): Value => operation("f32x4.pmin", [a, b]),
  max: (a: Value, b: Value): Value => operation("f32x4.pmax", [a, b]),
  sqrt: (a: Value): Value => operation("f32x4.sqrt", [a]),
  abs: (a: Value): Value => operation("f32x4.abs", [a]),
  neg: (a: Value): Value => operation("f32x4.neg", [a]),
  greater: (a: Value, b: Value): Value => operation("f32x4.gt", [a, b]),
  less: (a: Value, b: Value): Value => operation("f32x4.lt", [a, b]),
  equal: (a: Value, b: Value): Value => operation("f32x4.eq", [a, b]),
  notEqual: (a: Value, b: Value): Value => operation("f32x4.ne", [a, b]),
  and: (a: Value, b: Value): Value => operation("v128.and", [a, b]),
  andNot: (a: Value, b: Value): Value => operation("v128.andnot", [a, b]),
  or: (a: Value, b: Value): Value => operation("v128.or", [a, b]),
  xor: (a: Value, b: Value): Value => operation("v128.xor", [a, b]),
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
  add: (a: Value, b: Value): Value => operation("i32x4.add", [a, b]),
  sub: (a: Value, b: Value): Value => operation("i32x4.sub", [a, b]),
  max: (a: Value, b: Value): Value => operation("i32x4.max_s", [a, b]),
  shiftLeft: (a: Value, bits: number): Value => operation("i32x4.shl", [a, integer(bits)]),
  shiftRight: (a: Value, bits: number): Value => operation("i32x4.shr_s", [a, integer(bits)]),
  shiftRightUnsigned: (a: Value, bits: number): Value => operation("i32x4.shr_u", [a, integer(bits)]),
  less: (a: Value, b: Value): Value => operation("i32x4.lt_s", [a, b]),
  greater: (a: Value, b: Value): Value => operation("i32x4.gt_s", [a, b]),
  equal: (a: Value, b: Value): Value => operation("i32x4.eq", [a, b]),
  notEqual: (a: Value, b: Value): Value => operation("i32x4.ne", [a, b]),
  toFloat: (a: Value): Value => operation("f32x4.convert_i32x4_s", [a]),
  /** The sign bits of the lanes, as the lowest four bits. */
  bitmask: (a: Value): Value => operation("i32x4.bitmask", [a]),
  lane: (vector: Value, lane: number): Value => operation("i32x4.extract_lane", [vector], lane),
  bytes: (address: Value, offset = 0): Value => operation("v128.load32_zero", [address], offset),
  widenLow: (a: Value): Value => operation("i32x4.extend_low_i16x8_u", [a]),
  widenBytes: (a: Value): Value => operation("i16x8.extend_low_i8x16_u", [a]),
};

/** Eight int16 lanes, as 8-bit weights are widened to them. */
export const i16x8 = {
  splat: (a: Integer): Value => operation("i16x8.splat", [integer(a)]),
  /** Eight bytes, with or without a sign. */
  bytes: (address: Value, isSigned: boolean, offset = 0): Value =>
    operation(isSigned ? "v128.load8x8_s" : "v128.load8x8_u", [address], offset),
  sub: (a: Value, b: Value): Value => operation("i16x8.sub", [a, b]),
  widenLow: (a: Value): Value => operation("i32x4.extend_low_i16x8_s", [a]),
  widenHigh: (a: Value): Value => operation("i32x4.extend_high_i16x8_s", [a]),
};

const floats = new Float32Array(1);
const bits = new Int32Array(floats.buffer);

/** The bits of the nearest float32 as a signed integer. */
export function f32Bits(value: number): number {
  floats[0] = value;
  return bits[0];
}
