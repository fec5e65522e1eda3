/** @file Half floats, all of them, against the formulas of their formats; and the widths and views of the other types. */
import { describe, expect, test } from "vitest";
import { decodeElements, isSafetensorsDtype, safetensorsDtypes, widthOf } from "./dtypes.ts";
import { caught } from "./hostile-file.ts";

const everyPattern = Uint16Array.from({ length: 2 ** 16 }, (_, pattern) => pattern);

/** IEEE 754: (−1)^sign · 2^(exponent − bias) · 1.fraction, 0.fraction at exponent 0, and the top exponent for ∞ and NaN. */
function valueOf(pattern: number, exponentBits: number, fractionBits: number): number {
  const sign = pattern >= 2 ** 15 ? -1 : 1;
  const exponent = Math.floor(pattern / 2 ** fractionBits) % 2 ** exponentBits;
  const fraction = (pattern % 2 ** fractionBits) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

function firstDisagreement(
  dtype: "F16" | "BF16",
  exponentBits: number,
  fractionBits: number,
): string | undefined {
  const decoded = decodeElements(dtype, new Uint8Array(everyPattern.slice().buffer));
  const bad = everyPattern.find(
    (pattern) => !Object.is(decoded[pattern], valueOf(pattern, exponentBits, fractionBits)),
  );
  return bad === undefined ? undefined : `0x${bad.toString(16)} became ${decoded[bad]}`;
}

describe("half floats", () => {
  test("every F16 pattern decodes to its value", () => {
    expect(firstDisagreement("F16", 5, 10)).toBeUndefined();
  });

  test("every BF16 pattern decodes to its value", () => {
    expect(firstDisagreement("BF16", 8, 7)).toBeUndefined();
  });

  test("NaNs keep their sign and payload", () => {
    const bits = (dtype: "F16" | "BF16", pattern: number): number => {
      const { buffer } = decodeElements(dtype, new Uint8Array(Uint16Array.of(pattern).buffer));
      return new Uint32Array(buffer)[0];
    };
    expect(bits("F16", 0xfe01)).toBe(0xffc02000);
    expect(bits("F16", 0x7c01)).toBe(0x7f802000);
    expect(bits("BF16", 0xff81)).toBe(0xff810000);
  });
});

describe("the other element types", () => {
  test("a type's name is known exactly when it can be read", () => {
    expect(safetensorsDtypes.every(isSafetensorsDtype)).toBe(true);
    expect(["f32", "F8_E4M3", "__proto__", "toString", ""].some(isSafetensorsDtype)).toBe(false);
  });

  test("sixteen bytes hold sixteen by width elements", () => {
    const bytesHeld = safetensorsDtypes.map(
      (dtype) => decodeElements(dtype, new Uint8Array(16)).length * widthOf(dtype),
    );
    expect(bytesHeld).toEqual(safetensorsDtypes.map(() => 16));
  });

  test("integers are little-endian two's complement", () => {
    const bytes = (): Uint8Array<ArrayBuffer> =>
      Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    expect(decodeElements("I64", bytes())).toEqual(BigInt64Array.of(-2n));
    expect(decodeElements("U64", bytes())).toEqual(BigUint64Array.of(2n ** 64n - 2n));
    expect(decodeElements("I32", bytes())).toEqual(Int32Array.of(-2, -1));
    expect(decodeElements("U32", bytes())).toEqual(Uint32Array.of(2 ** 32 - 2, 2 ** 32 - 1));
    expect(decodeElements("I16", bytes())).toEqual(Int16Array.of(-2, -1, -1, -1));
    expect(decodeElements("U16", bytes())).toEqual(Uint16Array.of(0xfffe, 0xffff, 0xffff, 0xffff));
    expect(decodeElements("I8", bytes())).toEqual(Int8Array.of(-2, -1, -1, -1, -1, -1, -1, -1));
  });

  test("a BOOL is 0 or 1 and nothing else", () => {
    expect(decodeElements("BOOL", Uint8Array.of(0, 1, 1))).toEqual(Uint8Array.of(0, 1, 1));
    expect(caught(() => decodeElements("BOOL", Uint8Array.of(0, 1, 2)))).toMatchObject({
      name: "DomainError",
      code: "safetensors-bool",
      message: expect.stringContaining("2 at element 2"),
    });
  });
});
