/** @file A feed-forward block in f64, row by row: what the fused one is held against. */
import { apply, type Matrix } from "./matrix.ts";
import { type ReferenceNorm, referenceNorm } from "./norm.ts";

/** The inputs of a block in f64; `gate` is what makes it SwiGLU. */
export interface ReferenceFeedForward extends ReferenceNorm {
  /** [M, width] */
  readonly x: Matrix;
  /** [hidden, width] */
  readonly gate?: Matrix;
  /** [hidden, width] */
  readonly up: Matrix;
  /** [width, hidden] */
  readonly down: Matrix;
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** u·σ(2√(2/π)·(u + 0.044715u³)), GPT-2's approximation of GELU. */
function gelu(u: number): number {
  return u * logistic(2 * Math.sqrt(2 / Math.PI) * (u + 0.044715 * u ** 3));
}

/** out_m = x_m + down·(silu(gate·n_m)⊙up·n_m) with n_m = norm(x_m), or x_m + down·gelu(up·n_m) without a gate. */
export function referenceFeedForward({ x, gate, up, down, ...norm }: ReferenceFeedForward): number[][] {
  return x.map((row) => {
    const normed = referenceNorm(row, norm);
    const raised = apply(up, normed);
    const gates = gate === undefined ? undefined : apply(gate, normed);
    const hidden = raised.map((u, h) => (gates === undefined ? gelu(u) : gates[h] * logistic(gates[h]) * u));
    return apply(down, hidden).map((value, d) => row[d] + value);
  });
}
