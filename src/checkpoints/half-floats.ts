/**
 * @file Half floats by their bits: F16 is IEEE 754 binary16, BF16 the upper half of a float32. Widening is exact; narrowing
 * rounds to the nearest, ties to the even one. Bits and not numbers go in and out, as a float passed by value may lose the
 * payload of a NaN.
 */

/** The half floats, as safetensors calls them. */
export type HalfDtype = "F16" | "BF16";

/** Writes half floats, widened, from place `first` of `target` on. */
export function widenInto(target: Float32Array, first: number, dtype: HalfDtype, halves: Uint16Array): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  const widen = dtype === "F16" ? binary16ToFloat32Bits : bfloat16ToFloat32Bits;
  for (let place = 0; place < halves.length; place++) bits[first + place] = widen(halves[place]);
}

const float32Infinity = 0x7f800000;
const binary16Infinity = 0x7c00;

/** The bits of the float32 that equals a bfloat16. */
export function bfloat16ToFloat32Bits(half: number): number {
  return half << 16;
}

/** The bits of the float32 that equals a binary16. */
export function binary16ToFloat32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | float32Infinity | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 127 - 15) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal half is an ordinary float32: its leading one becomes the implicit bit.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((127 - 14 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** The bits of the bfloat16 nearest to a float32; a NaN stays one. */
export function float32ToBfloat16Bits(bits: number): number {
  const magnitude = bits & 0x7fffffff;
  if (magnitude <= float32Infinity) return roundedShift(bits, 16) & 0xffff;
  const payload = (magnitude >>> 16) & 0x7f;
  return ((bits >>> 16) & 0xffff) | (payload === 0 ? 0x40 : 0);
}

/** The bits of the binary16 nearest to a float32: infinite from 65520 on, and a NaN stays one. */
export function float32ToBinary16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > float32Infinity) return sign | binary16Infinity | ((magnitude >>> 13) & 0x3ff || 0x200);
  const exponent = magnitude >>> 23;
  if (exponent >= 127 - 14) {
    // The carry of a fraction that rounds up goes into the exponent, as it should.
    return sign | Math.min(roundedShift(magnitude - ((127 - 15) << 23), 13), binary16Infinity);
  }
  // Units of 2⁻²⁴, the smallest subnormal; what is below half a unit is 0.
  const shift = 126 - exponent;
  return sign | (shift > 24 ? 0 : roundedShift((magnitude & 0x7fffff) | 0x800000, shift));
}

/** bits / 2^shift rounded to the nearest integer, ties to even. */
function roundedShift(bits: number, shift: number): number {
  const whole = bits >>> shift;
  const rest = bits & (2 ** shift - 1);
  const half = 2 ** (shift - 1);
  return whole + (rest > half || (rest === half && whole % 2 === 1) ? 1 : 0);
}
