/**
 * @file The hyperbolic law of cosines in its half-angle form, in which nothing cancels:
 * sinh²(d/2) = sinh²((ρ − σ)/2) + sinh ρ·sinh σ·‖n − m‖²/4 for points at radii ρ, σ in directions n, m (curvature −1).
 * The right-hand side is ¼‖x − y‖²_L of the points on the hyperboloid, so this is d = 2·asinh(½‖x − y‖_L).
 */
import { productDifference } from "./product-difference.ts";
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
  if (rho + sigma <= LARGE) return sinhDistance(Math.sinh(rho), Math.sinh(sigma), gap, chord);
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

/**
 * {@link polarDistance} where sinh ρ and sinh σ are the numbers known: a radius far out keeps its rounding, and sinh would
 * make of one unit in the last place of ρ a relative error of ρ such units.
 *
 * @param sinhRho - sinh ρ ≥ 0 of the one
 * @param sinhSigma - sinh σ ≥ 0 of the other
 * @param gap - |ρ − σ|, from a form that keeps its digits
 * @param chord - ‖n − m‖ in [0, 2]; 0 where a radius is 0
 */
export function sinhDistance(sinhRho: number, sinhSigma: number, gap: number, chord: number): number {
  const across = (chord / 2) * Math.sqrt(sinhRho) * Math.sqrt(sinhSigma);
  return 2 * Math.asinh(Math.hypot(Math.sinh(gap / 2), across));
}

/** ‖x‖² − ‖y‖² as (x − y)·(x + y), exact in the difference of near points. */
export function squareGap(x: Vector, y: Vector): number {
  return dotProduct(combine(1, x, -1, y), combine(1, x, 1, y));
}

/**
 * ‖x/r − y/s‖ of vectors of lengths r and s, 0 where one is zero. In the near half it is ‖w‖/s·√(2/(1 + cos)), with
 * r ≤ s and w the part of y across x, so that near directions keep their digits.
 */
export function directionChord(x: Vector, y: Vector): number {
  const r = norm(x);
  const s = norm(y);
  if (r > s) return directionChord(y, x);
  if (r === 0) return 0;
  const cosine = dotProduct(x, y) / r / s;
  if (cosine <= 0) return Math.sqrt(2 * (1 - cosine));
  return (norm(partAcross(x, r, y)) / s) * Math.sqrt(2 / (1 + cosine));
}

/**
 * The part of y across x, right in its own digits also where it is a millionth of y and less: y − (y_p/x_p)·x, in which
 * nothing is lost and nothing is left where y is a multiple of x, less its own part along x. As x_p is the largest
 * coordinate, that last part is at most √D times what stays.
 */
function partAcross(x: Vector, r: number, y: Vector): Float64Array {
  let p = 0;
  for (let d = 1; d < x.length; d++) if (Math.abs(x[d]) > Math.abs(x[p])) p = d;
  const rest = Float64Array.from(x, (value, d) => productDifference(x[p], y[d], value, y[p]) / x[p]);
  return combine(1, rest, -dotProduct(rest, x) / r / r, x);
}
