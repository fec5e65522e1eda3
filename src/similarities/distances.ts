/**
 * @file Distances as expressions of an inner product and two squared norms, in the forms that keep their digits:
 * geodesics by asinh, never by arcosh of an inner product; time differences by a quotient, never by subtraction.
 */
import { asinh, div, type Expression, max, min, sinh, sqrt } from "../score/index.ts";

/** ‖q−k‖² = q2 + k2 − 2s, kept from falling below zero by rounding; for use inside a root or a logarithm. */
export function squaredDistance(s: Expression, q2: Expression, k2: Expression): Expression {
  return max(q2.add(k2).sub(s.mul(2)), 0);
}

/**
 * ‖x−y‖²_L of the points of the hyperboloid of curvature −c whose space parts are q and k:
 * ‖q−k‖² − (x₀−y₀)², with x₀−y₀ = (‖q‖²−‖k‖²)/(x₀+y₀) and x₀ = √(1/c + ‖q‖²).
 */
export function minkowskiSquaredDistance(
  s: Expression,
  q2: Expression,
  k2: Expression,
  c: Expression,
): Expression {
  const time = (squared: Expression): Expression => sqrt(div(1, c).add(squared));
  const timeDifference = q2.sub(k2).div(time(q2).add(time(k2)));
  return q2.add(k2).sub(s.mul(2)).sub(timeDifference.square());
}

/** (2/√c)·asinh(√c/2·√(max(u, 0) + guard)): the geodesic whose chord has the squared Minkowski length u. */
export function geodesicOfChord(u: Expression, c: Expression, guard: Expression): Expression {
  const root = sqrt(c);
  return div(2, root).mul(asinh(root.div(2).mul(sqrt(max(u, 0).add(guard)))));
}

/**
 * Beyond this radius float32 cannot hold sinh², so radii saturate: two saturated points still differ by direction.
 * e^(2·43) = 2.2e37 is the last power below the largest float32, 3.4e38.
 */
export const largestRadius = 43;

/**
 * Squared Minkowski chord between exp₀ q and exp₀ k, tangent vectors at the origin of the ball of curvature −c.
 *
 * With radii ρ = 2√c‖·‖ and the angle θ between q and k,
 * u = (4/c)·(sinh²((ρ_q−ρ_k)/2) + sinh ρ_q·sinh ρ_k·(1−cos θ)/2): the hyperbolic haversine, without cancellation in the
 * radii. 1−cos θ = (‖q−k‖² − (‖q‖−‖k‖)²)/(2‖q‖‖k‖), which is exactly 0 where q = k; elsewhere the rounding of the inner
 * product, some 1e-16, is multiplied by sinh ρ_q·sinh ρ_k, so that chords shorter than e^ρ·1e-8 (e^ρ·3e-4 in float32) are
 * lost. Radii above {@link largestRadius} count as that.
 */
export function tangentSquaredDistance(
  s: Expression,
  q2: Expression,
  k2: Expression,
  c: Expression,
  guard: Expression,
): Expression {
  const norm = (squared: Expression): Expression => sqrt(squared.add(guard));
  const radius = (squared: Expression): Expression => min(sqrt(c).mul(2).mul(norm(squared)), largestRadius);
  const normDifference = q2.sub(k2).div(norm(q2).add(norm(k2)));
  const angularChord = max(q2.add(k2).sub(s.mul(2)).sub(normDifference.square()), 0);
  const halfVersine = angularChord.div(norm(q2).mul(norm(k2)).mul(4));
  const radial = sinh(radius(q2).sub(radius(k2)).div(2)).square();
  const angular = sinh(radius(q2))
    .mul(sinh(radius(k2)))
    .mul(halfVersine);
  return radial.add(angular).mul(4).div(c);
}
