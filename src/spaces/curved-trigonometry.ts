/**
 * @file Trigonometry of constant curvature κ, one formula for sphere (κ > 0), plane (κ = 0) and hyperbolic space
 * (κ < 0): tan_κ(x) = tanh(√−κ x)/√−κ, x, tan(√κ x)/√κ, and its kin. Bachmann, Bécigneul & Ganea 2020, §2.
 */

/** Reads a circular, a flat or a hyperbolic function at the scale √|κ|. */
function atCurvature(
  x: number,
  kappa: number,
  circular: (x: number) => number,
  hyperbolic: (x: number) => number,
): number {
  if (kappa === 0) return x;
  const root = Math.sqrt(Math.abs(kappa));
  return (kappa > 0 ? circular : hyperbolic)(root * x) / root;
}

/** tan_κ(x) */
export function curvedTangent(x: number, kappa: number): number {
  return atCurvature(x, kappa, Math.tan, Math.tanh);
}

/** The inverse of {@link curvedTangent}; for κ < 0 needs √−κ·|x| < 1. */
export function curvedArctangent(x: number, kappa: number): number {
  return atCurvature(x, kappa, Math.atan, Math.atanh);
}

/** The inverse of sin_κ; a rounding beyond ±1 counts as ±1 on the sphere. */
export function curvedArcsine(x: number, kappa: number): number {
  return atCurvature(x, kappa, (sine) => Math.asin(Math.max(-1, Math.min(1, sine))), Math.asinh);
}

/** f(x)/x for a function of slope 1 at the origin. */
export function slope(value: number, x: number): number {
  return x === 0 ? 1 : value / x;
}
