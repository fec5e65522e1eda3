/**
 * @file Scalar functions that keep their digits in float32, elementwise over arrays. jax-js's logarithm is off by 1e-5 and
 * its sinh, asinh and tanh by 5 % at 1e-6; these are within a few units of the last place. They have no derivatives of their
 * own: scores and logSumExp bring symbolic ones.
 */
import { DType, lax, numpy as np } from "@jax-js/jax";

/** log x for x ≥ 0, relative to its size or to 1, whichever is larger, within 2e-7. Consumes x. */
export function log(x: np.Array): np.Array {
  const { exponent, fraction } = splitFloat(x.ref);
  const value = combineLog(exponent, fraction);
  return np.where(np.greater(x.ref, 0), np.where(np.less(x, Infinity), value, Infinity), -Infinity);
}

/** log(1 + x) for x > −1, relative error ≤ 4e-7. Consumes x. */
export function log1p(x: np.Array): np.Array {
  const { exponent, fraction } = splitFloat(x.ref.add(1));
  // In this range log(1 + x) is the series itself, without the rounding of 1 + x.
  const isSmall = np.logicalAnd(np.greater(x.ref, Math.SQRT1_2 - 1), np.less(x.ref, Math.SQRT2 - 1));
  return combineLog(np.where(isSmall.ref, 0, exponent), np.where(isSmall, x, fraction));
}

/** x = 2^exponent·(1 + fraction) with 1 + fraction in [√½, √2). Consumes x. */
function splitFloat(x: np.Array): { exponent: np.Array; fraction: np.Array } {
  const bits = lax.bitcastConvertType(x, DType.Int32);
  // jax-js shifts zeros in from the left: kept positive, the exponent does not depend on that.
  const shifted = np.rightShift(
    bits.ref.add(integer(exponentOffset * 2 ** mantissaBits - bitsOfRootHalf)),
    integer(mantissaBits),
  );
  const exponent = np.bitwiseAnd(shifted, integer(2 ** (32 - mantissaBits) - 1)).sub(integer(exponentOffset));
  const scale = np.leftShift(exponent.ref, integer(mantissaBits));
  const mantissa = lax.bitcastConvertType(bits.sub(scale), DType.Float32);
  return { exponent: exponent.astype(DType.Float32), fraction: mantissa.sub(1) };
}

const mantissaBits = 23;
const exponentOffset = 128;
/** float32 √½ as an integer. */
const bitsOfRootHalf = 0x3f3504f3;

function integer(value: number): np.Array {
  return np.array(value, { dtype: DType.Int32 });
}

/** log 2 in two parts; the product of an exponent with the first is exact. */
const log2High = 0.693145751953125;
const log2Low = 1.428606820309417e-6;

/** exponent·log 2 + 2·artanh(s) with s = fraction/(2 + fraction); |s| ≤ 0.172, so the series ends at s⁹. */
function combineLog(exponent: np.Array, fraction: np.Array): np.Array {
  const s = fraction.ref.div(fraction.add(2));
  const square = s.ref.mul(s.ref);
  const series = polynomial(square, [2, 2 / 3, 2 / 5, 2 / 7, 2 / 9]).mul(s);
  return exponent.ref.mul(log2High).add(exponent.mul(log2Low).add(series));
}

/** Beyond this, x² leaves float32 or 1 + x² is x² in it. */
const largeForAsinh = 1e9;

/** asinh x = sign(x)·log1p(|x| + x²/(1 + √(1 + x²))), relative error ≤ 1e-6. Consumes x. */
export function asinh(x: np.Array): np.Array {
  const size = np.maximum(x.ref, x.ref.neg());
  const root = np.sqrt(size.ref.mul(size.ref).add(1));
  const sum = size.ref.add(size.ref.mul(size.ref.div(root.add(1))));
  const magnitude = log1p(np.where(np.greater(size.ref, largeForAsinh), size.mul(2), sum));
  return np.where(np.less(x, 0), magnitude.ref.neg(), magnitude);
}

/** sinh x, relative error ≤ 5e-7 + 2e-7·|x| (the second is the conditioning of the exponential). Consumes x. */
export function sinh(x: np.Array): np.Array {
  const grown = np.exp(x.ref);
  const far = grown.ref.sub(np.reciprocal(grown)).mul(0.5);
  return np.where(isWithinOne(x.ref), sinhNear(x), far);
}

/** cosh x, relative error ≤ 5e-7 + 2e-7·|x|. Consumes x. */
export function cosh(x: np.Array): np.Array {
  const grown = np.exp(x);
  return grown.ref.add(np.reciprocal(grown)).mul(0.5);
}

/** tanh x, relative error ≤ 1e-6. Consumes x. */
export function tanh(x: np.Array): np.Array {
  const shrunk = np.exp(np.minimum(x.ref, x.ref.neg()).mul(2));
  const size = shrunk.ref.neg().add(1).div(shrunk.add(1));
  const far = np.where(np.less(x.ref, 0), size.ref.neg(), size);
  const near = sinhNear(x.ref);
  return np.where(isWithinOne(x), near.ref.div(np.sqrt(near.ref.mul(near).add(1))), far);
}

/** 1/(1 + e^−x). Consumes x. */
export function logistic(x: np.Array): np.Array {
  return np.reciprocal(np.exp(x.neg()).add(1));
}

function isWithinOne(x: np.Array): np.Array {
  return np.less(np.maximum(x.ref, x.neg()), 1);
}

/** The Taylor series of sinh up to x⁹: 3e-8 of relative error at 1. */
function sinhNear(x: np.Array): np.Array {
  return polynomial(x.ref.mul(x.ref), [1, 1 / 6, 1 / 120, 1 / 5040, 1 / 362880]).mul(x);
}

/** Σ coefficients[n]·xⁿ. Consumes x. */
function polynomial(x: np.Array, coefficients: readonly number[]): np.Array {
  const [last, ...others] = [...coefficients].reverse();
  const [first, ...rest] = others;
  const start = x.ref.mul(last).add(first);
  const value = rest.reduce((sum, coefficient) => sum.mul(x.ref).add(coefficient), start);
  x.dispose();
  return value;
}
