/**
 * @file The k largest numbers of each row, ties to the lower index, by counting: the k-th largest number is found bit by bit,
 * then the last place at which it is still taken. jax-js's own sort runs number by number in JavaScript, ten times slower.
 */
import { DType, lax, numpy as np } from "@jax-js/jax";
import { computedOnce, stored } from "./array-tools.ts";

/**
 * Which numbers are among the k largest of their row: exactly k of each row.
 *
 * @param values - [B, H, Q, S] without NaN
 * @param k - of [1, S]
 * @returns bool, [B, H, Q, S]
 */
export function largestOfRow(values: np.Array, k: number): np.Array {
  const keys = values.shape[3];
  const zero = np.zerosLike(values.ref.slice([], [], [], [0, 1])).astype(DType.Int32);
  const threshold = kthLargest(values, k, zero);
  const places = np.array(Float32Array.from({ length: keys }, (_, place) => place));
  const isTied = (): np.Array => np.equal(values.ref, threshold.ref);
  const missing = computedOnce(count(np.less(threshold.ref, values.ref)).neg().add(k));
  // The smallest place before which as many ties lie as are missing.
  const end = smallest(Math.ceil(Math.log2(keys + 1)), zero, (probe) => {
    const limit = computedOnce(probe.astype(DType.Float32));
    return np.greaterEqual(count(np.logicalAnd(isTied(), np.less(places.ref, limit))), missing.ref);
  });
  const isTaken = np.less(places.ref, computedOnce(end.astype(DType.Float32)));
  return np.logicalOr(np.less(threshold.ref, values.ref), np.logicalAnd(isTied(), isTaken));
}

const bitsOfInfinity = 0x7f800000;

/** The k-th largest number of each row, [B, H, Q, 1]. */
function kthLargest(values: np.Array, k: number, zero: np.Array): np.Array {
  const mostBelow = values.shape[3] - k;
  const hasEnoughFrom = (threshold: np.Array): np.Array =>
    np.lessEqual(count(np.less(values.ref, computedOnce(threshold))), mostBelow);
  const sign = computedOnce(np.where(hasEnoughFrom(zero.ref.astype(DType.Float32)), 1, -1));
  const isPositive = (): np.Array => np.greater(sign.ref, 0);
  const ofBits = (bits: np.Array): np.Array =>
    lax.bitcastConvertType(np.minimum(bits, integer(bitsOfInfinity)), DType.Float32).mul(sign.ref);
  // Among positive numbers the threshold is the largest with enough numbers from it on, which is one below the smallest
  // without; among negative ones it has the smallest magnitude.
  const bits = smallest(31, zero, (probe) => {
    const next = np.where(isPositive(), probe.ref.add(integer(1)), probe);
    return np.notEqual(hasEnoughFrom(ofBits(next)), isPositive());
  });
  return computedOnce(ofBits(bits));
}

/**
 * The smallest whole number below 2^bits with a property that all larger ones have too, for every row.
 *
 * @param zero - of the rows' shape
 */
function smallest(bits: number, zero: np.Array, has: (probe: np.Array) => np.Array): np.Array {
  let found = zero.ref;
  for (let bit = bits - 1; bit >= 0; bit--) {
    const larger = found.ref.add(integer(2 ** bit));
    const isFoundBelow = has(found.ref.add(integer(2 ** bit - 1)));
    found = computedOnce(np.where(isFoundBelow, found, larger));
  }
  return found;
}

/** How many of each row hold. */
function count(condition: np.Array): np.Array {
  return stored(np.where(condition, 1, 0).sum(-1, { keepdims: true }));
}

function integer(value: number): np.Array {
  return np.array(value, { dtype: DType.Int32 });
}
