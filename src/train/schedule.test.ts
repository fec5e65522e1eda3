import { expect, test } from "vitest";
import { learningRateAt } from "./schedule.ts";

const schedule = { peak: 0.01, steps: 100, warmUp: 10 };

test("the rate rises linearly to its peak", () => {
  const rates = Array.from({ length: 10 }, (_, step) => learningRateAt(schedule, step));
  rates.forEach((rate, step) => expect(rate).toBeCloseTo(0.001 * (step + 1), 12));
});

test("the rate falls along half a cosine, to half its peak in the middle and to almost nothing at the end", () => {
  expect(learningRateAt(schedule, 10)).toBe(0.01);
  expect(learningRateAt(schedule, 55)).toBeCloseTo(0.005, 12);
  expect(learningRateAt(schedule, 99)).toBeLessThan(0.01 * 0.001);
  const rates = Array.from({ length: 90 }, (_, step) => learningRateAt(schedule, 10 + step));
  expect(rates).toEqual([...rates].sort((a, b) => b - a));
  expect(learningRateAt(schedule, 100)).toBe(0);
});

test("a run without warm-up starts at the peak, and one of warm-up alone ends there", () => {
  expect(learningRateAt({ ...schedule, warmUp: 0 }, 0)).toBe(0.01);
  expect(learningRateAt({ peak: 1, steps: 5, warmUp: 5 }, 4)).toBe(1);
});
