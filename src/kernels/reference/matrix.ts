/** @file Products of matrices and rows in f64, for the references of fused blocks. */

/** Matrices as rows. */
export type Matrix = readonly (readonly number[])[];

/** The matrix times a column. */
export function apply(matrix: Matrix, column: readonly number[]): number[] {
  return matrix.map((line) => line.reduce((sum, value, place) => sum + value * column[place], 0));
}
