/**
 * @file Weighted means of points of the hyperboloid, and the Klein model in which one of them is written. Einstein
 * midpoint (Gulcehre et al. 2018), Lorentz centroid (Law et al. 2019) and Möbius gyromidpoint (Ungar 2008) are one point.
 */
import { DomainError } from "../base/errors.ts";
import { hyperboloidPoint, minkowskiInner, requireOnHyperboloid } from "./hyperboloid.ts";
import { requireCurvature } from "./space.ts";
import { combine, dotProduct, scale, type Vector } from "./vector.ts";
import { requireWeights } from "./weights.ts";

/**
 * The Lorentz centroid Σ w x / (√c·‖Σ w x‖_L): the weighted sum, rescaled to the hyperboloid. It minimises Σ w‖x − μ‖²_L.
 *
 * @param points - points, each of width D + 1, time first
 * @param weights - w ≥ 0, one a point, not all zero
 * @param c - magnitude of the curvature −c, > 0
 * @returns a point, width D + 1
 * @throws DomainError `curvature`, `off-hyperboloid`, `weights`
 * @throws ShapeError `vector-width`, `weights`
 * @example
 * ```ts
 * import { hyperboloidPoint, lorentzCentroid } from "qklab";
 * lorentzCentroid([hyperboloidPoint([1, 0], 1), hyperboloidPoint([-1, 0], 1)], [1, 1], 1); // [1, 0, 0]
 * ```
 */
export function lorentzCentroid(points: readonly Vector[], weights: Vector, c: number): Float64Array {
  requireWeights(points, weights);
  requireOnHyperboloid("take a mean", c, ...points);
  const sum = new Float64Array(points[0].length);
  for (const [index, point] of points.entries()) combine(1, sum, weights[index], point, sum);
  return hyperboloidPoint(scale(1 / Math.sqrt(-c * minkowskiInner(sum, sum)), sum.subarray(1)), c);
}

/**
 * The Einstein midpoint Σ w γ v / Σ w γ with γ = 1/√(1 − c‖v‖²), in the Klein model, where geodesics are straight.
 *
 * @param points - Klein points, ‖v‖ < 1/√c, each of width D
 * @param weights - w ≥ 0, one a point, not all zero
 * @param c - magnitude of the curvature −c, > 0
 * @returns a Klein point, width D
 * @throws DomainError `curvature`, `outside-ball`, `weights`
 * @throws ShapeError `vector-width`, `weights`
 * @example
 * ```ts
 * import { einsteinMidpoint } from "qklab";
 * einsteinMidpoint([[0.5, 0], [-0.5, 0]], [1, 1], 1); // [0, 0]
 * ```
 */
export function einsteinMidpoint(points: readonly Vector[], weights: Vector, c: number): Float64Array {
  requireWeights(points, weights);
  requireCurvature(c);
  const sum = new Float64Array(points[0].length);
  let total = 0;
  for (const [index, point] of points.entries()) {
    const weight = weights[index] * lorentzFactor(point, c);
    combine(1, sum, weight, point, sum);
    total += weight;
  }
  return scale(1 / total, sum, sum);
}

/**
 * The Klein point of a point of the hyperboloid: s/(√c·x₀).
 *
 * @param x - a point, width D + 1, time first
 * @param c - magnitude of the curvature −c, > 0
 * @returns width D, in the ball of radius 1/√c
 * @throws DomainError `curvature`, `off-hyperboloid`
 * @example
 * ```ts
 * import { hyperboloidToKlein } from "qklab";
 * hyperboloidToKlein([5 / 4, 3 / 4], 1); // [0.6]
 * ```
 */
export function hyperboloidToKlein(x: Vector, c: number): Float64Array {
  requireOnHyperboloid("project to the Klein model", c, x);
  return scale(1 / (Math.sqrt(c) * x[0]), Array.from(x).slice(1));
}

/**
 * The point of the hyperboloid of a Klein point, inverse of {@link hyperboloidToKlein}: γ·(1/√c, v).
 *
 * @param v - a Klein point, ‖v‖ < 1/√c, width D
 * @param c - magnitude of the curvature −c, > 0
 * @returns width D + 1, time first
 * @throws DomainError `curvature`, `outside-ball`
 * @example
 * ```ts
 * import { kleinToHyperboloid } from "qklab";
 * kleinToHyperboloid([0.6], 1); // [1.25, 0.75]
 * ```
 */
export function kleinToHyperboloid(v: Vector, c: number): Float64Array {
  requireCurvature(c);
  return hyperboloidPoint(scale(lorentzFactor(v, c), v), c);
}

/** γ = 1/√(1 − c‖v‖²) */
function lorentzFactor(v: Vector, c: number): number {
  const square = 1 - c * dotProduct(v, v);
  if (square > 0) return 1 / Math.sqrt(square);
  throw new DomainError(
    "outside-ball",
    `Cannot use a Klein point as its length must be below ${1 / Math.sqrt(c)}: ‖v‖ = ${Math.sqrt(dotProduct(v, v))}. ` +
      "Make it from a point of the hyperboloid with hyperboloidToKlein(x, c)",
  );
}
