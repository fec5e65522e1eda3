/**
 * @file The unit sphere S^{D−1} in a scale-free chart: any vector means its direction x̂ = x/max(‖x‖, 1e-12), and
 * lengths of coordinates carry no meaning. Distance is the angle, Kahan's 2·atan2(‖x̂ − ŷ‖, ‖x̂ + ŷ‖).
 */
import { defineSpace, requirePositiveWidth, type SpaceFactory } from "./space.ts";
import { combine, dotProduct, norm, scale, squaredDifference, type Vector } from "./vector.ts";

/** Shorter vectors are divided by this, so that zero has a lift and the lift a gradient. */
const SHORTEST = 1e-12;

/**
 * The unit sphere: d(x, y) is the angle between the directions of x and y, in radians.
 *
 * The metric of the chart is (I − x̂x̂ᵀ)/‖x‖². It is blind along x, so the Riemannian gradient is the tangential
 * ‖x‖²(g − (g·x̂)x̂), and steps keep ‖x‖: their part along x is without effect. The zero vector has no direction: it does
 * not move, and its distance to any direction is π/2.
 *
 * @example
 * ```ts
 * import { sphereSpace } from "qklab";
 * sphereSpace().distance([2, 0], [0, 7]) === Math.PI / 2; // true
 * ```
 */
export const sphereSpace: SpaceFactory<[]> = defineSpace(
  {
    name: "sphere",
    sentence:
      "The unit sphere: only directions count, no point is far from all others, and no key is louder than another.",
    coordinates: "any vector with the wanted direction; any width",
  },
  () => ({
    requireWidth: (width) => requirePositiveWidth("sphere", width),
    liftedWidth: (width) => width,
    lift: direction,
    distance(x, y) {
      const one = direction(x);
      const other = direction(y);
      return 2 * Math.atan2(Math.sqrt(squaredDifference(one, other)), norm(combine(1, one, 1, other)));
    },
    riemannianGradient(x, gradient, out) {
      return combine(dotProduct(x, x), gradient, -dotProduct(gradient, x), x, out);
    },
    retract(x, step, out) {
      const length = norm(x);
      if (length === 0) return scale(1, x, out);
      const tangent = combine(1, step, -dotProduct(step, x) / length ** 2, x);
      const angle = norm(tangent) / length;
      return combine(Math.cos(angle), x, angle === 0 ? 1 : Math.sin(angle) / angle, tangent, out);
    },
  }),
);

function direction(x: Vector, out?: Float64Array): Float64Array {
  return scale(1 / Math.max(norm(x), SHORTEST), x, out);
}
