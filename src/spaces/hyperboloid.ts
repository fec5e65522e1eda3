/**
 * @file The hyperboloid ⟨x, x⟩_L = −1/c, x₀ > 0, in R^{1+D} with ⟨x, y⟩_L = −x₀y₀ + Σ x_d y_d; time comes first.
 * Nickel & Kiela 2018. Distances are 2·asinh(½‖x − y‖_L), never arcosh of an inner product, which loses near points.
 */
import { DomainError } from "../base/errors.ts";
import { directionChord, sinhDistance, squareGap } from "./half-angle.ts";
import { requireCurvature } from "./space.ts";
import { combine, dotProduct, norm, requireVectors, sinhRatio, type Vector } from "./vector.ts";

/** Off the surface by more than this, relative to x₀², is a mistake; points rounded to float32 are off by 1e-7. */
const SURFACE_TOLERANCE = 1e-5;

/**
 * The Minkowski inner product ⟨u, v⟩_L = −u₀v₀ + u₁v₁ + … + u_Dv_D.
 *
 * @param u - any vector, width D + 1, time first
 * @param v - any vector, width D + 1, time first
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { minkowskiInner } from "qklab";
 * minkowskiInner([1, 0, 0], [1, 0, 0]); // -1
 * ```
 */
export function minkowskiInner(u: Vector, v: Vector): number {
  requireVectors("take a Minkowski inner product", u, v);
  return dotProduct(u, v) - 2 * u[0] * v[0];
}

/**
 * The point over D space coordinates: (√(1/c + ‖s‖²), s).
 *
 * @param space - s, width D
 * @param c - magnitude of the curvature −c, > 0
 * @returns width D + 1, time first
 * @throws DomainError `curvature`
 * @example
 * ```ts
 * import { hyperboloidPoint } from "qklab";
 * hyperboloidPoint([3, 4], 1 / 144); // [13, 3, 4]
 * ```
 */
export function hyperboloidPoint(space: Vector, c: number): Float64Array {
  requireCurvature(c);
  return Float64Array.of(Math.sqrt(1 / c + dotProduct(space, space)), ...Array.from(space));
}

/**
 * Geodesic distance (2/√c)·asinh(½√c‖x − y‖_L), with ‖x − y‖_L from radii and directions so that nothing cancels:
 * right to 8 × 2.2e-16 for near points and for far ones (tested against exact integer arithmetic).
 *
 * @param x - a point, width D + 1, time first
 * @param y - a point, width D + 1, time first
 * @param c - magnitude of the curvature −c, > 0
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { hyperboloidDistance } from "qklab";
 * hyperboloidDistance([1, 0], [Math.cosh(2), Math.sinh(2)], 1); // 2
 * ```
 */
export function hyperboloidDistance(x: Vector, y: Vector, c: number): number {
  requireOnHyperboloid("measure a distance", c, x, y);
  return spaceDistance(Array.from(x).slice(1), Array.from(y).slice(1), c);
}

/** {@link hyperboloidDistance} of the points over two vectors of space coordinates. */
export function spaceDistance(x: Vector, y: Vector, c: number): number {
  const root = Math.sqrt(c);
  const r = norm(x);
  const s = norm(y);
  const reach = r * Math.hypot(1 / root, s) + s * Math.hypot(1 / root, r);
  const gap = reach === 0 ? 0 : Math.asinh(Math.abs(squareGap(x, y)) / reach);
  return sinhDistance(root * r, root * s, gap, directionChord(x, y)) / root;
}

/**
 * Distance from the origin (1/√c, 0, …, 0): asinh(√c‖s‖)/√c.
 *
 * @param x - a point, width D + 1, time first
 * @param c - magnitude of the curvature −c, > 0
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @example
 * ```ts
 * import { hyperboloidRadius } from "qklab";
 * hyperboloidRadius([Math.cosh(2), Math.sinh(2)], 1); // 2
 * ```
 */
export function hyperboloidRadius(x: Vector, c: number): number {
  requireOnHyperboloid("measure a radius", c, x);
  const root = Math.sqrt(c);
  return Math.asinh(root * norm(Array.from(x).slice(1))) / root;
}

/**
 * The exponential map: cosh(θ)x + (sinh(θ)/θ)u with θ = √c‖u‖_L.
 *
 * @param x - a point, width D + 1, time first
 * @param u - a tangent vector at x (⟨x, u⟩_L = 0), width D + 1
 * @param c - magnitude of the curvature −c, > 0
 * @returns a point at distance ‖u‖_L, width D + 1
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { hyperboloidExp, hyperboloidLog } from "qklab";
 * const y = hyperboloidExp([1, 0, 0], [0, 0.3, 0.4], 1);
 * hyperboloidLog([1, 0, 0], y, 1); // [0, 0.3, 0.4]
 * ```
 */
export function hyperboloidExp(x: Vector, u: Vector, c: number): Float64Array {
  requireOnHyperboloid("step", c, x);
  const angle = Math.sqrt(c * Math.max(0, minkowskiInner(u, u)));
  return combine(Math.cosh(angle), x, sinhRatio(angle), u);
}

/**
 * The logarithm at x, inverse of {@link hyperboloidExp}: (θ/sinh θ)·(y + c⟨x, y⟩_L x), θ = √c·d(x, y).
 *
 * @param x - a point, width D + 1, time first
 * @param y - a point, width D + 1, time first
 * @param c - magnitude of the curvature −c, > 0
 * @returns the tangent vector at x that leads to y, width D + 1
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { hyperboloidLog } from "qklab";
 * hyperboloidLog([1, 0], [Math.cosh(2), Math.sinh(2)], 1); // [0, 2]
 * ```
 */
export function hyperboloidLog(x: Vector, y: Vector, c: number): Float64Array {
  const angle = Math.sqrt(c) * hyperboloidDistance(x, y, c);
  const excess = 2 * Math.sinh(angle / 2) ** 2;
  const ratio = 1 / sinhRatio(angle);
  return combine(ratio, combine(1, y, -1, x), -ratio * excess, x);
}

/**
 * Parallel transport from x to y along their geodesic: v + ⟨y + c⟨x,y⟩_L x, v⟩_L/(1/c − ⟨x, y⟩_L)·(x + y).
 *
 * @param x - a point, width D + 1, time first
 * @param y - a point, width D + 1, time first
 * @param v - a tangent vector at x, width D + 1
 * @param c - magnitude of the curvature −c, > 0
 * @returns a tangent vector at y of the same length
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { hyperboloidTransport } from "qklab";
 * hyperboloidTransport([1, 0, 0], [1, 0, 0], [0, 1, 2], 1); // [0, 1, 2]
 * ```
 */
export function hyperboloidTransport(x: Vector, y: Vector, v: Vector, c: number): Float64Array {
  requireOnHyperboloid("transport", c, x, y);
  const inner = minkowskiInner(x, y);
  const along = (minkowskiInner(y, v) + c * inner * minkowskiInner(x, v)) / (1 / c - inner);
  return combine(1, v, along, combine(1, x, 1, y));
}

/**
 * The Riemannian gradient of a function whose ordinary gradient in R^{1+D} at x is g: the sign of g₀ is turned, then
 * h + c⟨x, h⟩_L x projects to the tangent space.
 *
 * @param x - a point, width D + 1, time first
 * @param gradient - g, width D + 1
 * @param c - magnitude of the curvature −c, > 0
 * @returns a tangent vector at x, width D + 1
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { hyperboloidGradient } from "qklab";
 * hyperboloidGradient([1, 0, 0], [5, 1, 2], 1); // [0, 1, 2]
 * ```
 */
export function hyperboloidGradient(x: Vector, gradient: Vector, c: number): Float64Array {
  requireOnHyperboloid("turn a gradient", c, x);
  requireVectors("turn a gradient", x, gradient);
  const turned = Float64Array.from(gradient);
  turned[0] = -turned[0];
  return combine(1, turned, c * minkowskiInner(x, turned), x, turned);
}

/**
 * Checks that vectors are points of the hyperboloid.
 *
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @throws ShapeError `vector-width`
 */
export function requireOnHyperboloid(action: string, c: number, ...points: readonly Vector[]): void {
  requireCurvature(c);
  requireVectors(action, points[0], ...points);
  for (const point of points) {
    const violation = Math.abs(minkowskiInner(point, point) + 1 / c);
    if (point[0] > 0 && violation <= SURFACE_TOLERANCE * point[0] ** 2) continue;
    throw new DomainError(
      "off-hyperboloid",
      `Cannot ${action} as points must satisfy x₀ > 0 and ⟨x, x⟩_L = ${-1 / c}: x₀ = ${point[0]}, off by ${violation}. ` +
        "Make points from their space coordinates with hyperboloidPoint(s, c)",
    );
  }
}
