/**
 * @file Hyperbolic space of curvature −c whose D coordinates are a tangent vector v at the origin of the Poincaré ball;
 * the point is exp₀ v. Everything is computed in polar form, so the ball's edge, where digits end, is never met.
 * Gulcehre et al. 2018 (pseudo-polar coordinates); Ganea, Bécigneul & Hofmann 2018.
 */
import { directionChord, polarDistance, squareGap } from "./half-angle.ts";
import {
  type CurvatureOptions,
  defineSpace,
  requireCurvature,
  requirePositiveWidth,
  type SpaceFactory,
} from "./space.ts";
import { combine, dotProduct, norm, requireFiniteVector, scale, sinhRatio, type Vector } from "./vector.ts";

/**
 * Hyperbolic space in polar coordinates: d(v, w) is the distance of exp₀ v and exp₀ w in the Poincaré ball, so
 * d(0, v) = 2‖v‖ for every c.
 *
 * With ρ = 2√c‖v‖, the metric has eigenvalue 4 along v and 4(sinh ρ/ρ)² across it; the Riemannian gradient divides by
 * these. `lift` gives the point of the hyperboloid, `stereographicExp0(v, -c)` that of the ball.
 *
 * @param options - `c`: magnitude of the curvature, > 0 (default 1)
 * @throws DomainError `curvature`
 * @example
 * ```ts
 * import { poincareSpace } from "qklab";
 * poincareSpace({ c: 0.5 }).distance([0, 0], [3, 4]); // 10
 * ```
 */
export const poincareSpace: SpaceFactory<[options?: CurvatureOptions]> = defineSpace(
  {
    name: "poincare",
    sentence:
      "Hyperbolic space in polar coordinates: the Poincaré ball seen from its centre, without its edge.",
    coordinates: "a tangent vector v at the origin, for the point exp₀ v; any width",
  },
  ({ c = 1 }: CurvatureOptions = {}) => {
    requireCurvature(c);
    const root = Math.sqrt(c);
    return {
      requireWidth: (width) => requirePositiveWidth("poincare", width),
      liftedWidth: (width) => width + 1,
      lift: (v, out) => polarLift(v, c, out),
      distance(v, w) {
        const rho = 2 * root * norm(v);
        const sigma = 2 * root * norm(w);
        const gap = rho + sigma === 0 ? 0 : (4 * c * Math.abs(squareGap(v, w))) / (rho + sigma);
        return polarDistance(rho, sigma, gap, directionChord(v, w)) / root;
      },
      riemannianGradient(v, gradient, out) {
        const radius = norm(v);
        const across = 0.25 / sinhRatio(2 * root * radius) ** 2;
        const along = radius === 0 ? 0 : dotProduct(v, gradient) / radius ** 2;
        return combine(across, gradient, along * (0.25 - across), v, out);
      },
      retract: (v, step, out) => polarStep(v, step, root, out),
    };
  },
);

/**
 * The point of the hyperboloid at polar coordinates v: (cosh ρ, sinh ρ·v/‖v‖)/√c with ρ = 2√c‖v‖.
 *
 * @param v - a tangent vector at the origin of the Poincaré ball, width D
 * @param c - magnitude of the curvature −c, > 0
 * @param out - where to write, width D + 1
 * @returns width D + 1, time first
 * @throws DomainError `curvature`
 * @throws NumbersError `not-finite` beyond ρ ≈ 709
 * @example
 * ```ts
 * import { polarLift } from "qklab";
 * polarLift([0.5, 0], 1)[0] === Math.cosh(1); // true
 * ```
 */
export function polarLift(
  v: Vector,
  c: number,
  out: Float64Array = new Float64Array(v.length + 1),
): Float64Array {
  requireCurvature(c);
  const root = Math.sqrt(c);
  const rho = 2 * root * norm(v);
  scale(2 * sinhRatio(rho), v, out.subarray(1));
  out[0] = Math.cosh(rho) / root;
  return requireFiniteVector("lift in 'poincare'", out, `The radius 2√c‖v‖ is ${rho}: keep it below 709`);
}

/**
 * The polar coordinates of a point of the hyperboloid, inverse of {@link polarLift}: asinh(√c‖s‖)/(2√c)·s/‖s‖.
 *
 * @param x - a point, width D + 1, time first
 * @param c - magnitude of the curvature −c, > 0
 * @returns width D
 * @throws DomainError `curvature`
 * @example
 * ```ts
 * import { polarCoordinates } from "qklab";
 * polarCoordinates([Math.cosh(1), Math.sinh(1)], 1); // [0.5]
 * ```
 */
export function polarCoordinates(x: Vector, c: number): Float64Array {
  requireCurvature(c);
  const space = Float64Array.from(x).subarray(1);
  const height = Math.sqrt(c) * norm(space);
  return scale(height === 0 ? 0.5 : Math.asinh(height) / (2 * height), space);
}

/**
 * The end of the geodesic from v with velocity `step`, by the hyperbolic triangle of origin, v and end: with t its
 * length and φ its angle to v, the end has sinh ρ'·(cos α, sin α) = (sinh ρ cosh t + cosh ρ sinh t cos φ, sinh t sin φ).
 */
function polarStep(v: Vector, step: Vector, root: number, out: Float64Array): Float64Array {
  const radius = norm(v);
  const ahead = radius === 0 ? 0 : dotProduct(v, step) / radius;
  const sideways = radius === 0 ? step : combine(1, step, -ahead / radius, v);
  const width = norm(sideways);
  // A geodesic through the origin is a straight line of the chart.
  if (radius === 0 || width === 0) return combine(1, v, 1, step, out);
  const rho = 2 * root * radius;
  const forward = 2 * root * ahead;
  const lateral = 2 * root * sinhRatio(rho) * width;
  const length = Math.hypot(forward, lateral);
  const [sine, cosine] = [lateral / length, forward / length];
  const onAxis =
    cosine >= 0
      ? Math.sinh(rho) * Math.cosh(length) + Math.cosh(rho) * Math.sinh(length) * cosine
      : Math.sinh(rho - length) + Math.cosh(rho) * Math.sinh(length) * ((sine * sine) / (1 - cosine));
  const offAxis = Math.sinh(length) * sine;
  const height = Math.hypot(onAxis, offAxis);
  const perHeight = (height === 0 ? 1 : Math.asinh(height) / height) / (2 * root);
  const end = combine((perHeight * onAxis) / radius, v, (perHeight * offAxis) / width, sideways);
  out.set(requireFiniteVector("step in 'poincare'", end, `The step is ${length / root} long: shorten it`));
  return out;
}
