/** @file Scalar functions on jax-js against JavaScript's own, over the ranges that their docstrings name. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { asinh, cosh, log, log1p, logistic, sinh, tanh } from "./stable-functions.ts";
import { startJax } from "./start.ts";

beforeAll(() => startJax());

const count = 20_001;
const spread = (from: number, to: number): Float32Array =>
  Float32Array.from({ length: count }, (_, place) => from + ((to - from) * (place + 0.5)) / count);
const logSpread = (from: number, to: number): Float32Array =>
  spread(from, to).map((exponent) => 10 ** exponent);
const negative = (values: Float32Array): Float32Array => values.map((value) => -value);

async function worst(
  f: (x: np.Array) => np.Array,
  exact: (x: number) => number,
  values: Float32Array,
  errorOf: (actual: number, expected: number, x: number) => number,
): Promise<number> {
  const actual = await f(np.array(values)).data();
  return values.reduce((most, x, place) => Math.max(most, errorOf(actual[place], exact(x), x)), 0);
}

const relative = (actual: number, expected: number): number =>
  actual === expected ? 0 : Math.abs(actual - expected) / Math.abs(expected);

test("log keeps its digits from the smallest normal number to the largest", async () => {
  const error = (actual: number, expected: number): number =>
    Math.abs(actual - expected) / Math.max(1, Math.abs(expected));
  expect(await worst(log, Math.log, logSpread(-37, 38), error)).toBeLessThan(2e-7);
  expect(await worst(log, Math.log, spread(0.5, 2), error)).toBeLessThan(2e-7);
});

test("log of zero and of infinity is infinite", async () => {
  expect([...(await log(np.array([0, Infinity, 1])).data())]).toEqual([-Infinity, Infinity, 0]);
});

test("log1p keeps its digits on both sides of zero", async () => {
  expect(await worst(log1p, Math.log1p, logSpread(-30, 30), relative)).toBeLessThan(4e-7);
  expect(await worst(log1p, Math.log1p, negative(logSpread(-30, -0.01)), relative)).toBeLessThan(4e-7);
});

test("asinh keeps its digits near zero and beyond the range of squares", async () => {
  expect(await worst(asinh, Math.asinh, logSpread(-30, 37), relative)).toBeLessThan(1e-6);
  expect(await worst(asinh, Math.asinh, negative(logSpread(-30, 37)), relative)).toBeLessThan(1e-6);
});

test("sinh and cosh are as exact as the exponential of a rounded number can be", async () => {
  const error = (actual: number, expected: number, x: number): number =>
    relative(actual, expected) / (5e-7 + 2e-7 * Math.abs(x));
  for (const values of [logSpread(-30, 1.63), negative(logSpread(-30, 1.63))]) {
    expect(await worst(sinh, Math.sinh, values, error)).toBeLessThan(1);
    expect(await worst(cosh, Math.cosh, values, error)).toBeLessThan(1);
  }
});

test("tanh keeps its digits near zero and saturates", async () => {
  for (const values of [logSpread(-30, 2), negative(logSpread(-30, 2))]) {
    expect(await worst(tanh, Math.tanh, values, relative)).toBeLessThan(1e-6);
  }
});

test("logistic is finite for every number", async () => {
  const sigma = (x: number): number => 1 / (1 + Math.exp(-x));
  expect(await worst(logistic, sigma, spread(-5, 100), relative)).toBeLessThan(1e-6);
  expect([...(await logistic(np.array([-1e30, 1e30])).data())]).toEqual([0, 1]);
});
