/**
 * @file The surface that the κ-stereographic model is the shadow of: points (t, s) of R^{1+D} with ‖s‖² + sgn(κ)t² = 1/κ,
 * a sphere for κ > 0 and a hyperboloid for κ < 0, time first. Straight sums of surface points make means of model points.
 */
import { DomainError } from "../base/errors.ts";
import { conformalFactor, requirePoints } from "./stereographic.ts";
import { combine, dotProduct, norm, scale, type Vector } from "./vector.ts";
import { requireWeights } from "./weights.ts";

/**
 * The surface point of a model point: ((λ − 1)/√|κ|, λx). For κ = −c it lies on the hyperboloid of `lorentzSpace({ c })`.
 *
 * @param x - a point, width D
 * @param kappa - curvature κ, not 0
 * @returns width D + 1, time first
 * @throws DomainError `flat`, `outside-ball`
 * @example
 * ```ts
 * import { stereographicLift } from "qklab";
 * stereographicLift([0, 0], -1); // [1, 0, 0]
 * ```
 */
export function stereographicLift(x: Vector, kappa: number): Float64Array {
  requireCurved(kappa);
  requirePoints("lift", kappa, x);
  const factor = conformalFactor(x, kappa);
  const square = kappa * dotProduct(x, x);
  return Float64Array.of((1 - square) / (1 + square) / Math.sqrt(Math.abs(kappa)), ...scale(factor, x));
}

/**
 * The model point of a surface point, inverse of {@link stereographicLift}: s/(1 + √|κ|·t).
 *
 * @param point - width D + 1, time first
 * @param kappa - curvature κ, not 0
 * @returns width D
 * @throws DomainError `flat`; `projection-pole` for the pole of the sphere from which it is projected
 * @example
 * ```ts
 * import { stereographicProject } from "qklab";
 * stereographicProject([5 / 4, 3 / 4], -1); // [0.333]
 * ```
 */
export function stereographicProject(point: Vector, kappa: number): Float64Array {
  requireCurved(kappa);
  const [time, ...space] = Array.from(point);
  const denominator = 1 + Math.sqrt(Math.abs(kappa)) * time;
  if (denominator > 0) return scale(1 / denominator, space);
  throw new DomainError(
    "projection-pole",
    `Cannot project as 1 + √|κ|·t must be above zero: t = ${time}. Pass a point of the surface that is not its pole`,
  );
}

/**
 * The Möbius gyromidpoint ½ ⊗ (S/T) with S = Σ w λ x, T = Σ w (λ − 1), computed as S/(T + √(T² + κ‖S‖²)): the shadow of
 * the weighted mean on the surface. For κ < 0 it is the same point as {@link einsteinMidpoint} and
 * {@link lorentzCentroid}.
 *
 * @param points - points, each of width D
 * @param weights - w ≥ 0, one a point, not all zero
 * @param kappa - curvature κ, any sign
 * @returns a point, width D
 * @throws DomainError `outside-ball`, `weights`; `balanced` where points on a sphere cancel or meet at the pole
 * @throws ShapeError `vector-width`, `weights`
 * @example
 * ```ts
 * import { gyromidpoint } from "qklab";
 * gyromidpoint([[0.5, 0], [-0.5, 0]], [1, 1], -1); // [0, 0]
 * ```
 */
export function gyromidpoint(points: readonly Vector[], weights: Vector, kappa: number): Float64Array {
  requireWeights(points, weights);
  const space = new Float64Array(points[0].length);
  let time = 0;
  for (const [index, point] of points.entries()) {
    const factor = conformalFactor(point, kappa);
    combine(1, space, weights[index] * factor, point, space);
    time += weights[index] * (factor - 1);
  }
  const width = Math.sqrt(Math.abs(kappa)) * norm(space);
  const length = kappa > 0 ? Math.hypot(time, width) : Math.sqrt((time - width) * (time + width));
  if (time > 0) return scale(1 / (time + length), space);
  if (width > 0) return scale((length - time) / width ** 2, space);
  throw new DomainError(
    "balanced",
    `Cannot take a mean on a sphere as its points must not cancel or meet at the pole: Σ w·(t, s) is (${time}, 0). ` +
      "Change the weights",
  );
}

function requireCurved(kappa: number): void {
  if (Number.isFinite(kappa) && kappa !== 0) return;
  throw new DomainError(
    "flat",
    `Cannot lift to a surface as its curvature must be finite and not 0: ${kappa}. In flat space use the point itself`,
  );
}
