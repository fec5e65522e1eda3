import { expect, test } from "vitest";
import { decimalsFor, formatBytes, formatDuration, formatNumber, formatSpread } from "./format.ts";
import { spreadOf } from "./spread.ts";

test.each([
  [[0.5, 1], 3],
  [[2, 12], 2],
  [[120], 1],
  [[5000], 0],
  [[Number.NaN], 3],
  [[], 3],
])("a column of %j has %i decimals", (values, decimals) => {
  expect(decimalsFor(values)).toBe(decimals);
});

test.each([
  [0.98149, 3, "0.981"],
  [0, 3, "0.000"],
  [0.00004, 3, "4.0e-5"],
  [Number.NaN, 3, "NaN"],
])("%d with %i decimals is %s", (value, decimals, text) => {
  expect(formatNumber(value, decimals)).toBe(text);
});

test("a spread that is not known is left out", () => {
  expect(formatSpread(spreadOf([1, 2]), 2)).toBe("1.50 ± 0.71");
  expect(formatSpread(spreadOf([1]), 2)).toBe("1.00");
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [51_234, "51.2 kB"],
  [108_000_000, "108 MB"],
  [2.5e9, "2.5 GB"],
])("%d bytes are %s", (sizeBytes, text) => {
  expect(formatBytes(sizeBytes)).toBe(text);
});

test.each([
  [0.42, "0.42 ms"],
  [12.34, "12.3 ms"],
  [456, "456 ms"],
  [1400, "1.4 s"],
  [59_960, "1 min 00 s"],
  [200_000, "3 min 20 s"],
  [3_900_000, "1 h 05 min"],
])("%d ms are %s", (timeMs, text) => {
  expect(formatDuration(timeMs)).toBe(text);
});
