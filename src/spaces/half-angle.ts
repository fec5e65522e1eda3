/**
 * @file The hyperbolic law of cosines in its half-angle form, in which nothing cancels:
 * sinh²(d/2) = sinh²((ρ − σ)/2) + sinh ρ·sinh σ·‖n − m‖²/4 for points at radii ρ, σ in directions n, m (curvature −1).
 * The right-hand side is ¼‖x − y‖²_L of the points on the hyperboloid, so this is d = 2·asinh(½‖x − y‖_L).
 */
import { combine, dotProduct, norm, type Vector } from "./vector.ts";

/** Beyond this length e^length nears the end of f64, and its logarithm takes its place. */
const LARGE = 600;

/**
 * The distance of two points given in polar form, curvature −1.
 *
 * @param rho - radius ρ ≥ 0 of the one
 * @param sigma - radius σ ≥ 0 of the other
 * @param gap - |ρ − σ|, from a form that keeps its digits
 * @param chord - ‖n − m‖ in [0, 2]; 0 where a radius is 0
 */
export function polarDistance(rho: number, sigma: number, gap: number, chord: number): number {
  if (rho + sigma <= LARGE) {
    const across = (chord / 2) * Math.sqrt(Math.sinh(rho) * Math.sinh(sigma));
    return 2 * Math.asinh(Math.hypot(Math.sinh(gap / 2), across));
  }
  if (chord === 0) return gap;
  const bend =
    rho +
    sigma +
    2 * Math.log(chord / 2) +
    Math.log1p(-Math.exp(-2 * rho)) +
    Math.log1p(-Math.exp(-2 * sigma));
  if (Math.max(gap, bend) <= LARGE)
    return 2 * Math.asinh(Math.hypot(Math.sinh(gap / 2), Math.exp(bend / 2) / 2));
  return Math.max(gap, bend) + Math.log1p(Math.exp(-Math.abs(gap - bend)));
}

/** ‖x‖² − ‖y‖² as (x − y)·(x + y), exact in the difference of near points. */
export function squareGap(x: Vector, y: Vector): number {
  return dotProduct(combine(1, x, -1, y), combine(1, x, 1, y));
}

/**
 * ‖x/r − y/s‖ of vectors of lengths r and s, 0 where one is zero. In the near half it is ‖w‖/s·√(2/(1 + cos)), with
 * r ≤ s and w the part of y − x across x, so that near directions keep their digits.
 */
export function directionChord(x: Vector, y: Vector): number {
  const r = norm(x);
  const s = norm(y);
  if (r > s) return directionChord(y, x);
  if (r === 0) return 0;
  const cosine = dotProduct(x, y) / r / s;
  if (cosine <= 0) return Math.sqrt(2 * (1 - cosine));
  const difference = combine(1, y, -1, x);
  const across = combine(1, difference, -dotProduct(difference, x) / r / r, x);
  return (norm(across) / s) * Math.sqrt(2 / (1 + cosine));
}
