/**
 * @file Hyperbolic space of curvature −c whose D coordinates are the space part of a point of the hyperboloid,
 * x₀ = √(1/c + ‖x‖²). Nickel & Kiela 2018; Chen et al. 2022.
 */
import { hyperboloidPoint, spaceDistance } from "./hyperboloid.ts";
import {
  type CurvatureOptions,
  defineSpace,
  requireCurvature,
  requirePositiveWidth,
  type SpaceFactory,
} from "./space.ts";
import { combine, dotProduct, norm, requireFiniteVector, sinhRatio } from "./vector.ts";

/**
 * Hyperbolic space in space coordinates: d(x, y) = (2/√c)·asinh(½√c‖x − y‖_L).
 *
 * The metric is I − x xᵀ/x₀², so the Riemannian gradient is g + c(x·g)x. A radius R has ‖x‖ = sinh(√c R)/√c: coordinates
 * grow exponentially, which float32 bears up to √c R ≈ 8.6.
 *
 * @param options - `c`: magnitude of the curvature, > 0 (default 1)
 * @throws DomainError `curvature`
 * @example
 * ```ts
 * import { lorentzSpace } from "qklab";
 * lorentzSpace().distance([0, 0], [Math.sinh(2), 0]); // 2
 * ```
 */
export const lorentzSpace: SpaceFactory<[options?: CurvatureOptions]> = defineSpace(
  {
    name: "lorentz",
    sentence:
      "Hyperbolic space on the hyperboloid: volume grows exponentially with the radius, so trees fit.",
    coordinates: "the space part of a point of the hyperboloid; any width",
  },
  ({ c = 1 }: CurvatureOptions = {}) => {
    requireCurvature(c);
    return {
      requireWidth: (width) => requirePositiveWidth("lorentz", width),
      liftedWidth: (width) => width + 1,
      lift(x, out) {
        out.set(hyperboloidPoint(x, c));
        return out;
      },
      distance: (x, y) => spaceDistance(x, y, c),
      riemannianGradient: (x, gradient, out) => combine(1, gradient, c * dotProduct(x, gradient), x, out),
      retract(x, step, out) {
        const length = norm(x);
        const along = length === 0 ? 0 : dotProduct(x, step) / length;
        const across = length === 0 ? step : combine(1, step, -along / length, x);
        const angle = Math.sqrt(c) * Math.hypot(norm(across), along / Math.hypot(1, Math.sqrt(c) * length));
        const end = combine(Math.cosh(angle), x, sinhRatio(angle), step);
        const cure = `The step is ${angle / Math.sqrt(c)} long: shorten it`;
        out.set(requireFiniteVector("step in 'lorentz'", end, cure));
        return out;
      },
    };
  },
);
