/** @file A feed-forward block in f64, row by row: what the fused one is held against. */

/** Matrices as rows. */
type Matrix = readonly (readonly number[])[];

/** The inputs of a block in f64; `gate` is what makes it SwiGLU. */
export interface ReferenceFeedForward {
  /** [M, width] */
  readonly x: Matrix;
  /** [hidden, width] */
  readonly gate?: Matrix;
  /** [hidden, width] */
  readonly up: Matrix;
  /** [width, hidden] */
  readonly down: Matrix;
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, place) => sum + value * b[place], 0);
const apply = (matrix: Matrix, row: readonly number[]): number[] => matrix.map((line) => dot(line, row));
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** u·σ(2√(2/π)·(u + 0.044715u³)), GPT-2's approximation of GELU. */
function gelu(u: number): number {
  return u * logistic(2 * Math.sqrt(2 / Math.PI) * (u + 0.044715 * u ** 3));
}

/** out_m = down·(silu(gate·x_m)⊙up·x_m), or down·gelu(up·x_m) without a gate. */
export function referenceFeedForward({ x, gate, up, down }: ReferenceFeedForward): number[][] {
  return x.map((row) => {
    const raised = apply(up, row);
    const gates = gate === undefined ? undefined : apply(gate, row);
    const hidden = raised.map((u, h) => (gates === undefined ? gelu(u) : gates[h] * logistic(gates[h]) * u));
    return apply(down, hidden);
  });
}
