/**
 * @file The complex space C^{D/2}: coordinates (2m, 2m+1) are real and imaginary part of z_m. As a metric space it is
 * R^D; what it adds is the Hermitian product Σ x_m·conj(y_m), whose argument knows the order of its two points.
 */
import { ShapeError } from "../base/errors.ts";
import { defineSpace, requirePositiveWidth, type SpaceFactory } from "./space.ts";
import { combine, requireVectors, scale, squaredDifference, type Vector } from "./vector.ts";

/**
 * The complex space: d(x, y) = √Σ |x_m − y_m|².
 *
 * @throws ShapeError `odd-width` from its functions for vectors of odd width
 * @example
 * ```ts
 * import { complexSpace } from "qklab";
 * complexSpace().distance([0, 0], [3, 4]); // 5
 * ```
 */
export const complexSpace: SpaceFactory<[]> = defineSpace(
  {
    name: "complex",
    sentence:
      "Complex numbers: lengths as in flat space, and a phase that turning a query relative to a key changes.",
    coordinates: "real and imaginary parts in turn; an even width",
  },
  () => ({
    requireWidth: requirePairs,
    liftedWidth: (width) => width,
    lift: (x, out) => scale(1, x, out),
    distance: (x, y) => Math.sqrt(squaredDifference(x, y)),
    riemannianGradient: (_x, gradient, out) => scale(1, gradient, out),
    retract: (x, step, out) => combine(1, x, 1, step, out),
  }),
);

/**
 * The Hermitian product Σ_m x_m·conj(y_m).
 *
 * @param x - real and imaginary parts in turn, width D, even
 * @param y - the same
 * @returns its real and its imaginary part; swapping x and y turns the sign of the latter
 * @throws ShapeError `vector-width`, `odd-width`
 * @example
 * ```ts
 * import { hermitianInner } from "qklab";
 * hermitianInner([0, 1], [1, 0]); // { "re": 0, "im": 1 }
 * ```
 */
export function hermitianInner(x: Vector, y: Vector): { readonly re: number; readonly im: number } {
  requireVectors("take a Hermitian product", x, y);
  requirePairs(x.length);
  let re = 0;
  let im = 0;
  for (let d = 0; d < x.length; d += 2) {
    re += x[d] * y[d] + x[d + 1] * y[d + 1];
    im += x[d + 1] * y[d] - x[d] * y[d + 1];
  }
  return { re, im };
}

function requirePairs(width: number): void {
  requirePositiveWidth("complex", width);
  if (width % 2 === 0) return;
  throw new ShapeError(
    "odd-width",
    `Cannot use 'complex' as its coordinates come in pairs: width ${width} is odd. Use an even width`,
  );
}
