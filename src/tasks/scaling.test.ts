import { expect, test } from "vitest";
import fc from "fast-check";
import { random } from "../base/random.ts";
import { fitExponent, scalingCases } from "./scaling.ts";

const settings = { from: 2, to: 4, batch: 2, heads: 3, headWidth: 5, valueWidth: 7 };

test("cases double from 2^a to 2^b in the shapes of an attention", () => {
  const cases = [...scalingCases(settings, 1)];
  expect(cases.map(({ length }) => length)).toEqual([4, 8, 16]);
  for (const { length, q, k, v } of cases) {
    expect([q.shape, k.shape, v.shape]).toEqual([
      [2, 3, length, 5],
      [2, 3, length, 5],
      [2, 3, length, 7],
    ]);
    expect([q, k, v].map(({ data }) => data.length)).toEqual([30 * length, 30 * length, 42 * length]);
  }
});

test("a length has the same numbers whatever the other lengths are", () => {
  const [, , last] = scalingCases(settings, 1);
  const [alone] = scalingCases({ ...settings, from: 4 }, 1);
  const [other] = scalingCases({ ...settings, from: 4 }, 2);
  expect(alone).toEqual(last);
  expect(alone.q.data).not.toEqual(other.q.data);
  expect(alone.q.data).not.toEqual(alone.k.data);
});

test("values are as wide as keys unless said otherwise", () => {
  const [only] = scalingCases({ from: 1, to: 1, batch: 1, heads: 1, headWidth: 4 }, 0);
  expect(only.v.shape).toEqual([1, 1, 2, 4]);
});

/** Logarithms of a few numbers, summed and divided. */
const ROUNDING = 1e-9;

test("a pure power law is found with its factor and no error", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -3, max: 3, noNaN: true }),
      fc.double({ min: 0.01, max: 100, noNaN: true }),
      (power, factor) => {
        const points = [32, 64, 128, 512].map((length) => ({ length, cost: factor * length ** power }));
        const fit = fitExponent(points);
        expect(Math.abs(fit.exponent - power)).toBeLessThan(ROUNDING);
        expect(Math.abs(fit.factor / factor - 1)).toBeLessThan(ROUNDING);
        expect(fit.standardError).toBeLessThan(ROUNDING);
      },
    ),
  );
});

test("the standard error is the textbook's on a case worked out by hand", () => {
  // ln N = 0, 1, 2 and ln cost = 0, 2, 1: slope 1/2, intercept 1/2, residuals −1/2, 1, −1/2, so √(1.5 / 1 / 2).
  const points = [0, 1, 2].map((x, point) => ({ length: Math.E ** x, cost: Math.E ** [0, 2, 1][point] }));
  const fit = fitExponent(points);
  expect(fit.exponent).toBeCloseTo(0.5, 12);
  expect(fit.factor).toBeCloseTo(Math.exp(0.5), 12);
  expect(fit.standardError).toBeCloseTo(Math.sqrt(0.75), 12);
});

test("the standard error is the spread that the exponent has over repetitions", () => {
  const rng = random(3);
  const noise = 0.1;
  const fits = Array.from({ length: 2000 }, () =>
    fitExponent(
      [64, 128, 256, 512, 1024].map((length) => ({
        length,
        cost: length ** 2 * Math.exp(noise * rng.normal()),
      })),
    ),
  );
  const spread = Math.sqrt(fits.reduce((sum, { exponent }) => sum + (exponent - 2) ** 2, 0) / fits.length);
  const stated = Math.sqrt(
    fits.reduce((sum, { standardError }) => sum + standardError ** 2, 0) / fits.length,
  );
  // Both are known to about 2.5 % from 2,000 repetitions of five points; 10 % is four times that.
  expect(Math.abs(spread / stated - 1)).toBeLessThan(0.1);
});

test("points and sizes that cannot be used are refused", () => {
  const point = (length: number, cost: number) => ({ length, cost });
  expect(() => fitExponent([point(1, 1), point(2, 2)])).toThrow("2 points at 2 lengths");
  expect(() => fitExponent([point(8, 1), point(8, 2), point(8, 3)])).toThrow("3 points at 1 lengths");
  expect(() => fitExponent([point(1, 1), point(2, 0), point(4, 3)])).toThrow("cost 0 at length 2");
  expect(() => fitExponent([point(1, 1), point(2, Number.NaN), point(4, 3)])).toThrow("cost NaN at length 2");
  expect(() => scalingCases({ ...settings, to: 1 }, 0)).toThrow("to must be a whole number ≥ 2: 1");
  expect(() => scalingCases({ ...settings, to: 40 }, 0)).toThrow("at most 2^28 numbers: 2 × 3 × 2^40 × 7");
  expect(() => scalingCases({ ...settings, heads: 0 }, 0)).toThrow("heads must be a whole number ≥ 1: 0");
});
