/** @file Plain f64 vectors: the few operations that the formulas of this folder are written in. */
import { NumbersError, ShapeError } from "../base/errors.ts";
import type { Tensor64 } from "../base/tensor.ts";

/** A vector as every function of the spaces reads it. */
export type Vector = ArrayLike<number>;

/** Σ_d x_d y_d */
export function dotProduct(x: Vector, y: Vector): number {
  let sum = 0;
  for (let d = 0; d < x.length; d++) sum += x[d] * y[d];
  return sum;
}

/** Squares of shorter lengths lose their digits to underflow. */
const SHORTEST_SQUARE = 1e-300;

/** ‖x‖, where a length below 1e-150 counts as 0, so that x/‖x‖ is a unit vector or does not exist. */
export function norm(x: Vector): number {
  const square = dotProduct(x, x);
  return square < SHORTEST_SQUARE ? 0 : Math.sqrt(square);
}

/** ‖x − y‖² */
export function squaredDifference(x: Vector, y: Vector): number {
  let sum = 0;
  for (let d = 0; d < x.length; d++) sum += (x[d] - y[d]) ** 2;
  return sum;
}

/** a·x */
export function scale(a: number, x: Vector, out: Float64Array = new Float64Array(x.length)): Float64Array {
  for (let d = 0; d < x.length; d++) out[d] = a * x[d];
  return out;
}

/** a·x + b·y; `out` may be one of the two. */
export function combine(
  a: number,
  x: Vector,
  b: number,
  y: Vector,
  out: Float64Array = new Float64Array(x.length),
): Float64Array {
  for (let d = 0; d < x.length; d++) out[d] = a * x[d] + b * y[d];
  return out;
}

/** sinh(x)/x, 1 at 0 */
export function sinhRatio(x: number): number {
  return x === 0 ? 1 : Math.sinh(x) / x;
}

/**
 * A matrix times a vector.
 *
 * @param matrix - shape [E, D]
 * @param x - width D
 * @returns M·x, width E
 * @throws ShapeError `matrix-width`
 * @example
 * ```ts
 * import { applyMatrix, tensor64 } from "qklab";
 * applyMatrix(tensor64([0, 1, 1, 0], [2, 2]), [3, 5]); // [5, 3]
 * ```
 */
export function applyMatrix(matrix: Tensor64, x: Vector): Float64Array {
  const [rows, columns] = matrix.shape;
  if (matrix.shape.length !== 2 || columns !== x.length) {
    throw new ShapeError(
      "matrix-width",
      `Cannot multiply as a matrix needs one column per coordinate: shape [${matrix.shape.join(", ")}], width ${x.length}. ` +
        "Pass a matrix of shape [E, D] and a vector of width D",
    );
  }
  return Float64Array.from({ length: rows }, (_, row) =>
    dotProduct(matrix.data.subarray(row * columns, (row + 1) * columns), x),
  );
}

/**
 * Checks vectors that go into one formula.
 *
 * @throws ShapeError `vector-width` unless all are equally wide and not empty
 * @throws NumbersError `not-finite`
 */
export function requireVectors(action: string, x: Vector, ...others: readonly Vector[]): void {
  if (x.length === 0 || others.some((other) => other.length !== x.length)) {
    throw new ShapeError(
      "vector-width",
      `Cannot ${action} as its vectors must be equally wide and not empty: widths ` +
        `${[x, ...others].map((vector) => vector.length).join(", ")}. Pass vectors of one width`,
    );
  }
  const cure = "Look for a division by zero or an overflow where the vector was made";
  requireFiniteVector(action, x, cure);
  for (const other of others) requireFiniteVector(action, other, cure);
}

/** @throws NumbersError `not-finite` with the first bad place */
export function requireFiniteVector<V extends Vector>(action: string, x: V, cure: string): V {
  for (let d = 0; d < x.length; d++) {
    if (Number.isFinite(x[d])) continue;
    throw new NumbersError(
      "not-finite",
      `Cannot ${action} as every coordinate must be finite: ${x[d]} at [${d}]. ${cure}`,
    );
  }
  return x;
}
