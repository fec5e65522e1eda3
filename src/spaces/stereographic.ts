/**
 * @file The gyrovector algebra of the κ-stereographic model: R^D with metric λ_x², λ_x = 2/(1 + κ‖x‖²). For κ < 0 it is
 * the Poincaré ball of radius 1/√−κ, for κ > 0 the sphere projected from a pole, for κ = 0 the plane at twice its size.
 * Ungar 2008; Ganea, Bécigneul & Hofmann 2018; Bachmann, Bécigneul & Ganea 2020.
 */
import { DomainError } from "../base/errors.ts";
import type { Tensor64 } from "../base/tensor.ts";
import { curvedArctangent, curvedTangent } from "./curved-trigonometry.ts";
import { applyMatrix, combine, dotProduct, norm, requireVectors, scale, type Vector } from "./vector.ts";

/**
 * λ_x = 2/(1 + κ‖x‖²), by which lengths at x are longer than their coordinates.
 *
 * @param x - a point, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball` when κ < 0 and ‖x‖ ≥ 1/√−κ
 * @example
 * ```ts
 * import { conformalFactor } from "qklab";
 * conformalFactor([0, 0], -1); // 2
 * ```
 */
export function conformalFactor(x: Vector, kappa: number): number {
  const square = dotProduct(x, x);
  const denominator = 1 + kappa * square;
  if (denominator > 0 && denominator < Infinity) return 2 / denominator;
  throw new DomainError(
    "outside-ball",
    `Cannot use a point as it must be finite and, in the ball of curvature ${kappa}, have ‖x‖ < ` +
      `${1 / Math.sqrt(-kappa)}: ‖x‖ = ${Math.sqrt(square)}. Scale it into the ball, or use poincareSpace() or ` +
      "lorentzSpace(), whose coordinates have no edge",
  );
}

/**
 * Möbius addition, the translation of the model:
 * x ⊕ y = ((1 − 2κ x·y − κ‖y‖²)x + (1 + κ‖x‖²)y)/(1 − 2κ x·y + κ²‖x‖²‖y‖²).
 *
 * @param x - a point, width D
 * @param y - a point, width D
 * @param kappa - curvature κ, any sign
 * @returns a point, width D; (−x) ⊕ (x ⊕ y) = y
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { mobiusAdd } from "qklab";
 * mobiusAdd([0.5], [0.5], -1); // [0.8]
 * ```
 */
export function mobiusAdd(x: Vector, y: Vector, kappa: number): Float64Array {
  requirePoints("add", kappa, x, y);
  const xx = dotProduct(x, x);
  const yy = dotProduct(y, y);
  const xy = dotProduct(x, y);
  const denominator = 1 - 2 * kappa * xy + kappa * kappa * xx * yy;
  return combine((1 - 2 * kappa * xy - kappa * yy) / denominator, x, (1 + kappa * xx) / denominator, y);
}

/**
 * Möbius scalar multiplication, the point r times as far from the origin: r ⊗ x = tan_κ(r·artan_κ‖x‖)·x/‖x‖.
 *
 * @param factor - r
 * @param x - a point, width D
 * @param kappa - curvature κ, any sign
 * @throws DomainError `outside-ball`
 * @example
 * ```ts
 * import { mobiusScale } from "qklab";
 * mobiusScale(2, [0.5], -1); // [0.8]
 * ```
 */
export function mobiusScale(factor: number, x: Vector, kappa: number): Float64Array {
  requirePoints("scale", kappa, x);
  const length = norm(x);
  if (length === 0) return scale(factor, x);
  return scale(curvedTangent(factor * curvedArctangent(length, kappa), kappa) / length, x);
}

/**
 * Möbius matrix product: M ⊗ x = exp₀(M·log₀ x).
 *
 * @param matrix - M, shape [E, D]
 * @param x - a point, width D
 * @param kappa - curvature κ, any sign
 * @returns a point, width E
 * @throws DomainError `outside-ball`
 * @throws ShapeError `matrix-width`
 * @example
 * ```ts
 * import { mobiusMultiply, tensor64 } from "qklab";
 * mobiusMultiply(tensor64([0, -1, 1, 0], [2, 2]), [0.5, 0], -1); // [0, 0.5]
 * ```
 */
export function mobiusMultiply(matrix: Tensor64, x: Vector, kappa: number): Float64Array {
  requirePoints("multiply", kappa, x);
  const length = norm(x);
  const image = applyMatrix(matrix, x);
  const imageLength = norm(image);
  if (length === 0 || imageLength === 0) return image;
  const radius = (imageLength / length) * curvedArctangent(length, kappa);
  return scale(curvedTangent(radius, kappa) / imageLength, image);
}

/**
 * Gyration, the rotation by which ⊕ fails to be associative: gyr[a, b]u = −(a ⊕ b) ⊕ (a ⊕ (b ⊕ u)), in closed form
 * u + 2(A a + B b)/D, and linear in u.
 *
 * @param a - a point, width D
 * @param b - a point, width D
 * @param u - any vector, width D
 * @param kappa - curvature κ, any sign
 * @returns a vector of the length of u
 * @throws DomainError `outside-ball`
 * @throws ShapeError `vector-width`
 * @example
 * ```ts
 * import { gyration } from "qklab";
 * gyration([0.3, 0], [0.6, 0], [1, 2], -1); // [1, 2]
 * ```
 */
export function gyration(a: Vector, b: Vector, u: Vector, kappa: number): Float64Array {
  requirePoints("gyrate", kappa, a, b);
  requireVectors("gyrate", a, u);
  const square = kappa * kappa;
  const aa = dotProduct(a, a);
  const bb = dotProduct(b, b);
  const ab = dotProduct(a, b);
  const au = dotProduct(a, u);
  const bu = dotProduct(b, u);
  const alongA = -square * au * bb - kappa * bu + 2 * square * ab * bu;
  const alongB = -square * bu * aa + kappa * au;
  const denominator = 1 - 2 * kappa * ab + square * aa * bb;
  return combine(1, u, 1, combine((2 * alongA) / denominator, a, (2 * alongB) / denominator, b));
}

/** Checks widths, and that every vector is a point of the model. */
export function requirePoints(action: string, kappa: number, x: Vector, ...others: readonly Vector[]): void {
  requireVectors(action, x, ...others);
  conformalFactor(x, kappa);
  for (const other of others) conformalFactor(other, kappa);
}
