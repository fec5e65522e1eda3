/** @file How contracts compare tensors: exactly, or to a tolerance relative to the largest number of what is expected. */
import { expect } from "vitest";

/** Numbers and their shape, of any precision. */
export interface Numbers {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

/**
 * The largest |actual − expected| over the largest finite |expected| (or over `floor`, when that is larger). Infinite
 * numbers must be at the same places, and NaN is never close to anything.
 */
export function relativeDistance(actual: Numbers, expected: Numbers, floor = 0): number {
  let largest = floor;
  let distance = 0;
  for (let place = 0; place < expected.data.length; place++) {
    const [a, b] = [actual.data[place], expected.data[place]];
    if (a === b) continue;
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Infinity;
    distance = Math.max(distance, Math.abs(a - b));
  }
  for (let place = 0; place < expected.data.length; place++) {
    if (Number.isFinite(expected.data[place])) largest = Math.max(largest, Math.abs(expected.data[place]));
  }
  return distance === 0 ? 0 : distance / largest;
}

/** Below this, numbers count as noise around zero: sums of cancelling terms of size about one. */
export const zeroFloor = 1e-2;

/** Asserts that shapes agree and that numbers agree to `tolerance`, relative to the largest of them or to `floor`. */
export function expectClose(
  what: string,
  actual: Numbers | undefined,
  expected: Numbers,
  tolerance: number,
  floor: number = zeroFloor,
): void {
  expect(actual?.shape, `shape of ${what}`).toEqual(expected.shape);
  expect(relativeDistance(actual!, expected, floor), `relative distance of ${what}`).toBeLessThanOrEqual(
    tolerance,
  );
}

/** Asserts that two tensors have the same numbers, bit for bit (0 and −0 count as the same). */
export function expectSame(what: string, actual: Numbers, expected: Numbers): void {
  expect(actual.shape, `shape of ${what}`).toEqual(expected.shape);
  const differs = Array.from(expected.data).findIndex((value, place) => value !== actual.data[place]);
  expect(
    differs,
    `first place where ${what} differs (${actual.data[differs]} for ${expected.data[differs]})`,
  ).toBe(-1);
}

/** Asserts that every number is finite. */
export function expectFinite(what: string, { data }: Numbers): void {
  const bad = Array.from(data).findIndex((value) => !Number.isFinite(value));
  expect(bad, `first place where ${what} is not finite (${data[bad]})`).toBe(-1);
}

/** Asserts that all numbers are zero. */
export function expectZeros(what: string, { data }: Numbers): void {
  const bad = Array.from(data).findIndex((value) => value !== 0);
  expect(bad, `first place where ${what} is not zero (${data[bad]})`).toBe(-1);
}
