/** @file The projections around an attention in f64, row by row: what the fused ones are held against. */
import { apply, type Matrix } from "./matrix.ts";
import { type ReferenceNorm, referenceNorm } from "./norm.ts";

/** Rows of sequences and the weights of their queries, keys and values. */
export interface ReferenceProjection extends ReferenceNorm {
  /** [M, width] */
  readonly x: Matrix;
  /** [H·D, width] */
  readonly q: Matrix;
  /** [G·D, width] */
  readonly k: Matrix;
  /** [G·D, width] */
  readonly v: Matrix;
}

/** q_m = q·norm(x_m), and k_m and v_m alike: rows of all heads side by side. */
export function referenceProjection({
  x,
  q,
  k,
  v,
  ...norm
}: ReferenceProjection): Record<"q" | "k" | "v", number[][]> {
  const normed = x.map((row) => referenceNorm(row, norm));
  const project = (weight: Matrix): number[][] => normed.map((row) => apply(weight, row));
  return { q: project(q), k: project(k), v: project(v) };
}

/** out_m = x_m + weight·heads_m, the heads side by side in a row. */
export function referenceMerge({
  x,
  heads,
  weight,
}: Readonly<Record<"x" | "heads" | "weight", Matrix>>): number[][] {
  return x.map((row, m) => apply(weight, heads[m]).map((value, d) => row[d] + value));
}
