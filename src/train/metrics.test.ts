import { expect, test } from "vitest";
import { accuracy, mean, median, paceMeter } from "./metrics.ts";

test("the median is the middle, or the mean of the middle two, whatever the order", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test("accuracy and mean are over all entries", () => {
  expect(accuracy([1, 2, 3, 4], [1, 0, 3, 4])).toBe(0.75);
  expect(mean(Float32Array.of(1, 2, 6))).toBe(3);
});

test("the pace is that of recent steps, and the first, which compiles, does not count after it", () => {
  const pace = paceMeter(100);
  expect(pace(0, 64, 1000)).toEqual({ itemsPerSecond: 64, timeLeftMs: 99_000 });
  expect(pace(1, 64, 10)).toEqual({ itemsPerSecond: 6400, timeLeftMs: 980 });
  for (let step = 2; step < 90; step++) pace(step, 64, 20);
  expect(pace(90, 64, 20)).toEqual({ itemsPerSecond: 3200, timeLeftMs: 180 });
});
