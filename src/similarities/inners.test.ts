/** @file Gradients of the inner reductions, by hand. */
import { describe, expect, test } from "vitest";
import { dot, inners } from "./index.ts";

describe("gradients of inner reductions", () => {
  const [q, k] = [Float64Array.of(9, 1, 3, -2, 0.5), Float64Array.of(9, 1, 1, -2, 2)];
  const gradientsOf = (name: keyof typeof inners, stop: number): readonly (readonly number[])[] => {
    const [byQuery, byKey] = [new Float64Array(5), new Float64Array(5)];
    inners[name].accumulate(2, q, 1, k, 1, { start: 0, stop }, byQuery, byKey);
    return [[...byQuery], [...byKey]];
  };

  test("l1: sign(0) = 0", () => {
    expect(gradientsOf("l1", 4)).toEqual([
      [0, 0, 2, 0, -2],
      [0, 0, -2, 0, 2],
    ]);
  });

  test("range: to the first coordinate that attains each extreme", () => {
    expect(gradientsOf("range", 3)).toEqual([
      [0, -2, 2, 0, 0],
      [0, 2, -2, 0, 0],
    ]);
    expect(gradientsOf("range", 1)).toEqual([
      [0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0],
    ]);
  });

  test("symplectic: the rotated other", () => {
    expect(gradientsOf("symplectic", 2)).toEqual([
      [0, -2, 2, 0, 0],
      [0, 6, -2, 0, 0],
    ]);
  });

  test("dot: the other", () => {
    expect(gradientsOf("dot", 2)).toEqual([
      [0, 2, 2, 0, 0],
      [0, 2, 6, 0, 0],
    ]);
    expect(dot().bilinear).toBe(true);
  });
});
