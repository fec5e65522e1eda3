/** @file The WebAssembly instructions that kernels use: opcode, result and what follows the opcode in the bytes. */

/** Types of values that kernels use. */
export type ValueType = "i32" | "f32" | "f64" | "v128";

/** What follows an opcode: nothing, a number, a memory place, a lane, sixteen bytes, or a place and a lane. */
export type ImmediateKind = "none" | "i32" | "f32" | "memory" | "lane" | "bytes" | "memory-lane" | "local";

export interface InstructionCode {
  /** Opcode, after its prefix byte where it has one. */
  readonly opcode: number;
  readonly prefix?: number;
  readonly result: ValueType | "none";
  readonly immediate: ImmediateKind;
  /** log2 of the alignment that a memory instruction promises. */
  readonly alignment?: number;
}

const plain = (opcode: number, result: InstructionCode["result"]): InstructionCode => ({
  opcode,
  result,
  immediate: "none",
});
const vector = (
  opcode: number,
  result: InstructionCode["result"] = "v128",
  immediate: ImmediateKind = "none",
): InstructionCode => ({
  opcode,
  prefix: 0xfd,
  result,
  immediate,
});
const memory = (
  opcode: number,
  result: InstructionCode["result"],
  alignment: number,
  prefix?: number,
): InstructionCode => ({
  opcode,
  result,
  immediate: "memory",
  alignment,
  ...(prefix === undefined ? {} : { prefix }),
});

/** Opcodes of the WebAssembly core specification 2.0, its SIMD and relaxed SIMD. */
export const instructions: Readonly<Record<string, InstructionCode>> = {
  "local.get": { opcode: 0x20, result: "i32", immediate: "local" },
  "local.set": { opcode: 0x21, result: "none", immediate: "local" },
  select: plain(0x1b, "i32"),
  "i32.load": memory(0x28, "i32", 2),
  "f32.load": memory(0x2a, "f32", 2),
  "f64.load": memory(0x2b, "f64", 3),
  "i32.store": memory(0x36, "none", 2),
  "f32.store": memory(0x38, "none", 2),
  "f64.store": memory(0x39, "none", 3),
  "i32.const": { opcode: 0x41, result: "i32", immediate: "i32" },
  "f32.const": { opcode: 0x43, result: "f32", immediate: "f32" },
  "i32.eq": plain(0x46, "i32"),
  "i32.ne": plain(0x47, "i32"),
  "i32.lt_s": plain(0x48, "i32"),
  "i32.lt_u": plain(0x49, "i32"),
  "i32.add": plain(0x6a, "i32"),
  "i32.sub": plain(0x6b, "i32"),
  "i32.mul": plain(0x6c, "i32"),
  "i32.and": plain(0x71, "i32"),
  "i32.or": plain(0x72, "i32"),
  "i32.shl": plain(0x74, "i32"),
  "i32.shr_u": plain(0x76, "i32"),
  "f32.add": plain(0x92, "f32"),
  "f32.mul": plain(0x94, "f32"),
  "f64.add": plain(0xa0, "f64"),
  "f64.promote_f32": plain(0xbb, "f64"),
  "v128.load": memory(0x00, "v128", 2, 0xfd),
  "v128.load8x8_s": memory(0x01, "v128", 0, 0xfd),
  "v128.load8x8_u": memory(0x02, "v128", 0, 0xfd),
  "v128.load32_splat": memory(0x09, "v128", 2, 0xfd),
  "v128.load32_zero": memory(0x5c, "v128", 0, 0xfd),
  "v128.store": memory(0x0b, "none", 2, 0xfd),
  "v128.store32_lane": { opcode: 0x5a, prefix: 0xfd, result: "none", immediate: "memory-lane", alignment: 2 },
  "v128.const": vector(0x0c, "v128", "bytes"),
  "i8x16.shuffle": vector(0x0d, "v128", "bytes"),
  "i16x8.splat": vector(0x10),
  "i32x4.splat": vector(0x11),
  "f32x4.splat": vector(0x13),
  "i32x4.extract_lane": vector(0x1b, "i32", "lane"),
  "f32x4.extract_lane": vector(0x1f, "f32", "lane"),
  "i32x4.eq": vector(0x37),
  "i32x4.ne": vector(0x38),
  "i32x4.lt_s": vector(0x39),
  "i32x4.gt_s": vector(0x3b),
  "f32x4.eq": vector(0x41),
  "f32x4.ne": vector(0x42),
  "f32x4.lt": vector(0x43),
  "f32x4.gt": vector(0x44),
  "v128.and": vector(0x4e),
  "v128.andnot": vector(0x4f),
  "v128.or": vector(0x50),
  "v128.xor": vector(0x51),
  "v128.bitselect": vector(0x52),
  "i16x8.extend_low_i8x16_u": vector(0x89),
  "i16x8.sub": vector(0x91),
  "i32x4.extend_low_i16x8_s": vector(0xa7),
  "i32x4.extend_high_i16x8_s": vector(0xa8),
  "i32x4.extend_low_i16x8_u": vector(0xa9),
  "i32x4.bitmask": vector(0xa4, "i32"),
  "i32x4.shl": vector(0xab),
  "i32x4.shr_s": vector(0xac),
  "i32x4.shr_u": vector(0xad),
  "i32x4.add": vector(0xae),
  "i32x4.sub": vector(0xb1),
  "i32x4.max_s": vector(0xb8),
  "f32x4.abs": vector(0xe0),
  "f32x4.neg": vector(0xe1),
  "f32x4.sqrt": vector(0xe3),
  "f32x4.add": vector(0xe4),
  "f32x4.sub": vector(0xe5),
  "f32x4.mul": vector(0xe6),
  "f32x4.div": vector(0xe7),
  "f32x4.pmin": vector(0xea),
  "f32x4.pmax": vector(0xeb),
  "f32x4.convert_i32x4_s": vector(0xfa),
  "f32x4.relaxed_madd": vector(0x105),
  "f32x4.relaxed_nmadd": vector(0x106),
  "i32x4.relaxed_laneselect": vector(0x10b),
};
