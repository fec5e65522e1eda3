/** @file Half floats against bit patterns worked out by hand, and against the definition of rounding to the nearest. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeSafetensors } from "./encode.ts";
import {
  bfloat16ToFloat32Bits,
  binary16ToFloat32Bits,
  float32ToBfloat16Bits,
  float32ToBinary16Bits,
} from "./half-floats.ts";
import { caught } from "./hostile-file.ts";
import { decodeSafetensors } from "./safetensors.ts";

const scratch = new DataView(new ArrayBuffer(4));
const bitsOf = (value: number): number => {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
};
const numberOf = (bits: number): number => {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
};

const formats = [
  { name: "F16", widen: binary16ToFloat32Bits, narrow: float32ToBinary16Bits, infinity: 0x7c00 },
  { name: "BF16", widen: bfloat16ToFloat32Bits, narrow: float32ToBfloat16Bits, infinity: 0x7f80 },
] as const;

describe("rounding to a half float", () => {
  // [what, float32 bits, F16, BF16]. F16 has 10 bits of fraction and exponents from 2⁻¹⁴, with units of 2⁻²⁴ below;
  // BF16 has 7 and the exponents of float32.
  test.each([
    ["0", 0x00000000, 0x0000, 0x0000],
    ["-0", 0x80000000, 0x8000, 0x8000],
    ["1", 0x3f800000, 0x3c00, 0x3f80],
    ["-2.5", 0xc0200000, 0xc100, 0xc020],
    ["1 + 2⁻¹¹, a tie of F16 that goes down to even", 0x3f801000, 0x3c00, 0x3f80],
    ["1 + 3·2⁻¹¹, a tie of F16 that goes up to even", 0x3f803000, 0x3c02, 0x3f80],
    ["one float32 above the tie 1 + 2⁻¹¹", 0x3f801001, 0x3c01, 0x3f80],
    ["1 + 2⁻⁸, a tie of BF16 that goes down to even", 0x3f808000, 0x3c04, 0x3f80],
    ["1 + 3·2⁻⁸, a tie of BF16 that goes up to even", 0x3f818000, 0x3c0c, 0x3f82],
    ["one float32 below 2, whose carry reaches the exponent", 0x3fffffff, 0x4000, 0x4000],
    ["65504, the largest F16", 0x477fe000, 0x7bff, 0x4780],
    ["one float32 below 65520, which still rounds to 65504", 0x477fefff, 0x7bff, 0x4780],
    ["65520, the first that is infinite in F16", 0x477ff000, 0x7c00, 0x4780],
    ["2⁻¹⁴, the smallest normal F16", 0x38800000, 0x0400, 0x3880],
    ["one float32 below 2⁻¹⁴, which rounds up to it", 0x387fffff, 0x0400, 0x3880],
    ["2⁻²⁴, the smallest subnormal F16", 0x33800000, 0x0001, 0x3380],
    ["2⁻²⁵, a tie between 0 and the smallest", 0x33000000, 0x0000, 0x3300],
    ["one float32 above 2⁻²⁵", 0x33000001, 0x0001, 0x3300],
    ["3·2⁻²⁵, a tie that goes up to even", 0x33c00000, 0x0002, 0x33c0],
    ["2⁻¹⁴⁹, the smallest float32", 0x00000001, 0x0000, 0x0000],
    ["-2⁻¹³³, a subnormal of BF16", 0x80010000, 0x8000, 0x8001],
    ["infinity", 0x7f800000, 0x7c00, 0x7f80],
    ["-infinity", 0xff800000, 0xfc00, 0xff80],
    ["the largest float32", 0x7f7fffff, 0x7c00, 0x7f80],
    ["a NaN whose payload lies below both", 0xff800001, 0xfe00, 0xffc0],
  ])("%s", (_, bits, f16, bf16) => {
    expect(float32ToBinary16Bits(bits).toString(16)).toBe(f16.toString(16));
    expect(float32ToBfloat16Bits(bits).toString(16)).toBe(bf16.toString(16));
  });

  test.each(formats)("every pattern of $name comes back from float32 as it was", ({ widen, narrow }) => {
    const changed = Array.from({ length: 2 ** 16 }, (_, half) => half).filter(
      (half) => narrow(widen(half) >>> 0) !== half,
    );
    expect(changed).toEqual([]);
  });

  test.each(formats)(
    "$name is the nearest, and of two as near the even one",
    ({ widen, narrow, infinity }) => {
      // As if exponents went on, which is what rounding to the nearest means at the end of the range.
      const beyond = numberOf(widen(infinity - 1)) * 2 - numberOf(widen(infinity - 2));
      const value = (half: number): number => (half === infinity ? beyond : numberOf(widen(half)));
      const patterns = fc.oneof(
        fc.nat(0x7f7fffff),
        fc
          .nat(infinity - 1)
          .chain((half) => fc.integer({ min: -2, max: 2 }).map((by) => tieAfter(half) + by)),
      );
      /** The float32 between a half float and the next, which is exact. */
      const tieAfter = (half: number): number => bitsOf((value(half) + value(half + 1)) / 2);

      fc.assert(
        fc.property(patterns, (pattern) => {
          const bits = Math.min(Math.max(pattern, 0), 0x7f7fffff);
          const exact = numberOf(bits);
          const rounded = narrow(bits);
          expect(narrow((bits | 0x80000000) >>> 0)).toBe(rounded | 0x8000);
          const distance = (half: number): number => Math.abs(value(half) - exact);
          for (const neighbour of [rounded - 1, rounded + 1]) {
            if (neighbour < 0 || neighbour > infinity || (rounded === infinity && exact > beyond)) continue;
            expect(distance(rounded)).toBeLessThanOrEqual(distance(neighbour));
            if (distance(rounded) === distance(neighbour)) expect(rounded % 2).toBe(0);
          }
        }),
      );
    },
  );
});

describe("half floats in a file", () => {
  test("numbers are stored in two bytes each and read as what they were rounded to", () => {
    const data = Float32Array.of(9, 1 + 2 ** -8, -0.1).subarray(1);
    const bytes = encodeSafetensors({
      half: { data, shape: [2], dtype: "F16" },
      brain: { data, shape: [2], dtype: "BF16" },
      whole: { data, shape: [2] },
    });
    const { tensors } = decodeSafetensors(bytes);
    expect([...tensors.keys()]).toEqual(["whole", "brain", "half"]);
    // 0.1 is 1.6·2⁻⁴: 1638.4 units of 2⁻¹⁴ in F16, 204.8 of 2⁻¹¹ in BF16.
    expect(tensors.get("half")).toEqual({
      dtype: "F16",
      shape: [2],
      data: Float32Array.of(1 + 2 ** -8, -1638 * 2 ** -14),
    });
    expect(tensors.get("brain")).toEqual({
      dtype: "BF16",
      shape: [2],
      data: Float32Array.of(1, -205 * 2 ** -11),
    });
  });

  test("an infinity stays, and a finite number that would become one is refused", () => {
    const write = (value: number, dtype: "F16" | "BF16") =>
      encodeSafetensors({ w: { data: Float32Array.of(0, value), shape: [2], dtype } });
    const [infinite] = decodeSafetensors(write(-Infinity, "F16")).tensors.values();
    expect(infinite.data).toEqual(Float32Array.of(0, -Infinity));
    for (const [value, dtype] of [
      [65520, "F16"],
      [-3.4e38, "BF16"],
    ] as const) {
      expect(caught(() => write(value, dtype))).toMatchObject({
        name: "NumbersError",
        code: "half-overflow",
        message: expect.stringContaining("at element 1"),
      });
    }
  });

  test.each([
    ["integers", Int32Array.of(1), "F16"],
    ["float64", Float64Array.of(1), "BF16"],
    ["another type", Float32Array.of(1), "F8"],
  ])("%s cannot be rounded to it", (_, data, dtype) => {
    expect(caught(() => encodeSafetensors({ w: { data, shape: [1], dtype: dtype as "F16" } }))).toMatchObject(
      {
        name: "DomainError",
        code: "safetensors-dtype",
        message: expect.stringContaining(dtype),
      },
    );
  });
});
