import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { spreadOf, standing } from "./spread.ts";

describe("the spread over seeds", () => {
  test("is the sample standard deviation", () => {
    expect(spreadOf([1, 2, 3])).toEqual({ mean: 2, deviation: 1, values: [1, 2, 3] });
  });

  test("is not known for one seed", () => {
    expect(spreadOf([0.7])).toEqual({ mean: 0.7, deviation: null, values: [0.7] });
  });
});

describe("two means", () => {
  test("are tied when they differ by no more than the larger standard deviation", () => {
    const [wide, narrow] = [spreadOf([1, 2, 3]), spreadOf([2.9, 3, 3.1])];
    expect(standing(wide, narrow, "higher")).toBe("tie");
    expect(standing(narrow, wide, "lower")).toBe("tie");
  });

  test("are told apart beyond it, by the metric's direction", () => {
    const [low, high] = [spreadOf([1, 1.1]), spreadOf([2, 2.1])];
    expect(standing(high, low, "higher")).toBe("better");
    expect(standing(high, low, "lower")).toBe("worse");
  });

  test("cannot be ranked with one seed, however far apart", () => {
    expect(standing(spreadOf([0.1]), spreadOf([0.9, 0.91]), "higher")).toBe("unknown");
  });

  test("stand to each other in opposite ways", () => {
    const opposite = { better: "worse", worse: "better", tie: "tie", unknown: "unknown" } as const;
    const seeds = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(seeds, seeds, (a, b) => {
        const [one, other] = [spreadOf(a), spreadOf(b)];
        expect(standing(other, one, "higher")).toBe(opposite[standing(one, other, "higher")]);
      }),
    );
  });
});
