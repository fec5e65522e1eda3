/**
 * @file Distances, exponential maps and transport of the κ-stereographic model (κ < 0: the Poincaré ball). Formulas:
 * Bachmann, Bécigneul & Ganea 2020, §2; distances in the form that keeps digits, 2·arsin_κ of the half chord for κ ≤ 0.
 */
import { curvedArcsine, curvedArctangent, curvedTangent, slope } from "./curved-trigonometry.ts";
import { conformalFactor, gyration, mobiusAdd, requirePoints } from "./stereographic.ts";
import { dotProduct, norm, requireVectors, scale, squaredDifference, type Vector } from "./vector.ts";

/**
 * Geodesic distance 2·artan_κ‖(−x) ⊕ y‖. For κ = −c it is (2/√c)·asinh(√c‖x−y‖/√((1−c‖x‖²)(1−c‖y‖²))), for κ = 0
 * it is 2‖x−y‖.
 *
 * @param x - a point, width D
 * @param y - a point, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { stereographicDistance } from "qklab";
 * stereographicDistance([0, 0], [Math.tanh(1), 0], -1); // 2
 * ```
 */
export function stereographicDistance(x: Vector, y: Vector, kappa: number): number {
  requirePoints("measure a distance", kappa, x, y);
  const chord = Math.sqrt(squaredDifference(x, y));
  if (kappa <= 0) {
    return (
      2 * curvedArcsine(0.5 * chord * Math.sqrt(conformalFactor(x, kappa) * conformalFactor(y, kappa)), kappa)
    );
  }
  const square = 1 + 2 * kappa * dotProduct(x, y) + kappa * kappa * dotProduct(x, x) * dotProduct(y, y);
  const root = Math.sqrt(kappa);
  return (2 / root) * Math.atan2(root * chord, Math.sqrt(Math.max(0, square)));
}

/**
 * Distance from the origin, 2·artan_κ‖x‖.
 *
 * @param x - a point, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball`
 * @example
 * ```ts
 * import { stereographicRadius } from "qklab";
 * stereographicRadius([0, Math.tanh(1)], -1); // 2
 * ```
 */
export function stereographicRadius(x: Vector, kappa: number): number {
  requirePoints("measure a radius", kappa, x);
  return 2 * curvedArctangent(norm(x), kappa);
}

/**
 * Distance, with sign, from the geodesic hyperplane through p with normal a:
 * arsin_κ(2 z·a/((1 + κ‖z‖²)‖a‖)), z = (−p) ⊕ x.
 *
 * @param x - a point, width D
 * @param p - a point of the hyperplane, width D
 * @param a - its normal at p, not zero, width D
 * @param kappa - curvature κ, any sign
 * @returns above zero on the side to which `a` points; 0 for a zero normal, which has no sides
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { hyperplaneDistance } from "qklab";
 * hyperplaneDistance([0.3, 0.4], [0, 0], [1, 0], -1) > 0; // true
 * ```
 */
export function hyperplaneDistance(x: Vector, p: Vector, a: Vector, kappa: number): number {
  requirePoints("measure a distance to a hyperplane", kappa, x, p);
  requireVectors("measure a distance to a hyperplane", x, a);
  const length = norm(a);
  if (length === 0) return 0;
  const away = mobiusAdd(scale(-1, p), x, kappa);
  return curvedArcsine((conformalFactor(away, kappa) * dotProduct(away, a)) / length, kappa);
}

/**
 * The exponential map at x: x ⊕ (tan_κ(λ_x‖u‖/2)·u/‖u‖).
 *
 * @param x - a point, width D
 * @param u - a tangent vector at x, width D
 * @param kappa - curvature κ, any sign
 * @returns a point at distance λ_x‖u‖; for κ < 0 beyond √−κ·λ_x‖u‖ ≈ 37 it rounds to the edge of the ball, which no
 * further function accepts
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { stereographicExp, stereographicLog } from "qklab";
 * const y = stereographicExp([0.1, 0.2], [0.3, -0.1], -1);
 * stereographicLog([0.1, 0.2], y, -1); // [0.3, -0.1]
 * ```
 */
export function stereographicExp(x: Vector, u: Vector, kappa: number): Float64Array {
  requireVectors("step", x, u);
  return mobiusAdd(x, stereographicExp0(scale(0.5 * conformalFactor(x, kappa), u), kappa), kappa);
}

/**
 * The logarithm at x, inverse of {@link stereographicExp}: (2/λ_x)·artan_κ‖z‖·z/‖z‖, z = (−x) ⊕ y.
 *
 * @param x - a point, width D
 * @param y - a point, width D
 * @param kappa - curvature κ, any sign
 * @returns the tangent vector at x that leads to y; its length times λ_x is the distance
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { stereographicLog } from "qklab";
 * stereographicLog([0, 0], [Math.tanh(0.5), 0], -1); // [0.5, 0]
 * ```
 */
export function stereographicLog(x: Vector, y: Vector, kappa: number): Float64Array {
  const difference = mobiusAdd(scale(-1, x), y, kappa);
  const length = norm(difference);
  if (length === 0) return difference;
  return scale(stereographicDistance(x, y, kappa) / (conformalFactor(x, kappa) * length), difference);
}

/**
 * The exponential map at the origin: tan_κ(‖v‖)·v/‖v‖, a point at distance 2‖v‖.
 *
 * @param v - a tangent vector at the origin, width D
 * @param kappa - curvature κ, any sign
 * @example
 * ```ts
 * import { stereographicExp0 } from "qklab";
 * stereographicExp0([1, 0], -1)[0] === Math.tanh(1); // true
 * ```
 */
export function stereographicExp0(v: Vector, kappa: number): Float64Array {
  const length = norm(v);
  return scale(slope(curvedTangent(length, kappa), length), v);
}

/**
 * The logarithm at the origin, inverse of {@link stereographicExp0}: artan_κ(‖y‖)·y/‖y‖.
 *
 * @param y - a point, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball`
 * @example
 * ```ts
 * import { stereographicLog0 } from "qklab";
 * stereographicLog0([0, 0], -1); // [0, 0]
 * ```
 */
export function stereographicLog0(y: Vector, kappa: number): Float64Array {
  requirePoints("take a logarithm", kappa, y);
  const length = norm(y);
  return scale(slope(curvedArctangent(length, kappa), length), y);
}

/**
 * The metric: ⟨u, v⟩_x = λ_x² u·v.
 *
 * @param x - a point, width D
 * @param u - a tangent vector at x, width D
 * @param v - a tangent vector at x, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { stereographicInner } from "qklab";
 * stereographicInner([0, 0], [1, 0], [1, 0], -1); // 4
 * ```
 */
export function stereographicInner(x: Vector, u: Vector, v: Vector, kappa: number): number {
  requireVectors("take an inner product", x, u, v);
  return conformalFactor(x, kappa) ** 2 * dotProduct(u, v);
}

/**
 * The Riemannian gradient g/λ_x² of a function whose ordinary gradient at x is g.
 *
 * @param x - a point, width D
 * @param gradient - g, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { stereographicGradient } from "qklab";
 * stereographicGradient([0, 0], [4, 8], -1); // [1, 2]
 * ```
 */
export function stereographicGradient(x: Vector, gradient: Vector, kappa: number): Float64Array {
  requireVectors("turn a gradient", x, gradient);
  return scale(1 / conformalFactor(x, kappa) ** 2, gradient);
}

/**
 * Parallel transport from x to y along their geodesic: (λ_x/λ_y)·gyr[y, −x]v.
 *
 * @param x - a point, width D
 * @param y - a point, width D
 * @param v - a tangent vector at x, width D
 * @param kappa - curvature κ, any sign
 * @returns a tangent vector at y of the same Riemannian length
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { stereographicTransport } from "qklab";
 * stereographicTransport([0.2, 0], [0.2, 0], [1, 3], -1); // [1, 3]
 * ```
 */
export function stereographicTransport(x: Vector, y: Vector, v: Vector, kappa: number): Float64Array {
  const turned = gyration(y, scale(-1, x), v, kappa);
  return scale(conformalFactor(x, kappa) / conformalFactor(y, kappa), turned, turned);
}

/**
 * Parallel transport from the origin to y: (1 + κ‖y‖²)·v.
 *
 * @param y - a point, width D
 * @param v - a tangent vector at the origin, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { stereographicTransport0 } from "qklab";
 * stereographicTransport0([0.5, 0], [4, 8], -1); // [3, 6]
 * ```
 */
export function stereographicTransport0(y: Vector, v: Vector, kappa: number): Float64Array {
  requireVectors("transport", y, v);
  return scale(2 / conformalFactor(y, kappa), v);
}
