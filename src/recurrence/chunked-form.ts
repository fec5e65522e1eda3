/**
 * @file The chunked form, which training uses: chunks of C tokens one after the other, the state carried between them.
 * Within a chunk the inner products ⟨x_i, y_j⟩ = Σ_d x_i y_j e^{L_i − L_j} come in tiles: below the diagonal the two
 * sides are scaled to the log at the tile's first row, between j and i, so that a tile is a product of matrices and no
 * factor is above 1. Corrections take the UT form: with A strictly lower triangular, c = T(B·M + K·v), T = (I − A)⁻¹.
 */
import { type Core } from "./core.ts";
import { type CoreHead, type HeadResult } from "./core-head.ts";
import { addRow, cumulativeLogs, lastState } from "./parallel-form.ts";

/** Rows of a tile of inner products. */
const tileRows = 16;

/** The outputs of a head and its last state. The last chunk may be shorter. */
export function chunkedForm(core: Core, head: CoreHead, chunk: number): HeadResult {
  const { tokens, columns } = head;
  const out = new Float64Array(tokens * columns);
  let state = head.state;
  for (let start = 0; start < tokens; start += chunk) {
    const stop = Math.min(start + chunk, tokens);
    const result = oneChunk(core, { ...tokensOf(head, start, stop), state });
    out.set(result.out, start * columns);
    ({ state } = result);
  }
  return { out, state: state.slice() };
}

/** Tokens [start, stop) of a head. */
export function tokensOf(head: CoreHead, start: number, stop: number): CoreHead {
  const { width, columns, q, k, v, logDecay, a, b } = head;
  const rows = (data: Float64Array, extent: number): Float64Array =>
    data.subarray(start * extent, stop * extent);
  return {
    ...head,
    tokens: stop - start,
    q: rows(q, width),
    k: rows(k, width),
    v: rows(v, columns),
    logDecay: rows(logDecay, width),
    a: rows(a, width),
    b: rows(b, width),
  };
}

function oneChunk(core: Core, head: CoreHead): HeadResult {
  const { tokens, columns, q, k, v, a, b } = head;
  const logs = cumulativeLogs(head);
  const corrections = core.correction
    ? solve(
        pairWeights(head, logs, b, a, "before"),
        plusProduct(fromState(head, logs, b, "before"), pairWeights(head, logs, b, k, "before"), v, columns),
        tokens,
        columns,
      )
    : new Float64Array(tokens * columns);
  const out = fromState(head, logs, q, core.read === "after" ? "after" : "before");
  if (core.correction) {
    plusProduct(
      out,
      pairWeights(head, logs, q, a, core.read === "after" ? "after" : "before"),
      corrections,
      columns,
    );
  }
  const weights = pairWeights(head, logs, q, k, core.read === "after" ? "after" : "before");
  if (core.read === "bonus") addBonus(head, weights);
  plusProduct(out, weights, v, columns);
  return { out, state: lastState(core, head, logs, corrections) };
}

/** Which state row i sees: the one after its own token (j ≤ i) or the one before it (j < i). */
type Sight = "after" | "before";

/** Rows (x_i⊙e^{L})·M_0, [C, columns]. */
function fromState(
  { tokens, width, columns, state }: CoreHead,
  logs: Float64Array,
  x: Float64Array,
  sight: Sight,
): Float64Array {
  const shift = sight === "after" ? 1 : 0;
  const scaled = Float64Array.from(
    { length: tokens * width },
    (_, at) => x[at] * Math.exp(logs[at + shift * width]),
  );
  return plusProduct(new Float64Array(tokens * columns), scaled, state, columns);
}

/** The lower triangle of Σ_d x_i[d] y_j[d] e^{L_i − L_j}, [C, C]; zeros above it. */
function pairWeights(
  { tokens, width }: CoreHead,
  logs: Float64Array,
  x: Float64Array,
  y: Float64Array,
  sight: Sight,
): Float64Array {
  const shift = sight === "after" ? 1 : 0;
  const weights = new Float64Array(tokens * tokens);
  const logOfRow = (i: number, d: number): number => logs[(i + shift) * width + d];
  const logOfKey = (j: number, d: number): number => logs[(j + 1) * width + d];
  for (let start = 0; start < tokens; start += tileRows) {
    const stop = Math.min(start + tileRows, tokens);
    // Every key before this tile was written before row `start` reads, so both differences are ≤ 0.
    const middle = logs.subarray(start * width, (start + 1) * width);
    const rows = new Float64Array((stop - start) * width);
    for (let i = start; i < stop; i++) {
      for (let d = 0; d < width; d++) {
        rows[(i - start) * width + d] = x[i * width + d] * Math.exp(logOfRow(i, d) - middle[d]);
      }
    }
    for (let j = 0; j < start; j++) {
      const key = Float64Array.from(
        { length: width },
        (_, d) => y[j * width + d] * Math.exp(middle[d] - logOfKey(j, d)),
      );
      for (let i = start; i < stop; i++) {
        let weight = 0;
        for (let d = 0; d < width; d++) weight += rows[(i - start) * width + d] * key[d];
        weights[i * tokens + j] = weight;
      }
    }
    for (let i = start; i < stop; i++) {
      for (let j = start; j < i + shift; j++) {
        let weight = 0;
        for (let d = 0; d < width; d++) {
          weight += x[i * width + d] * y[j * width + d] * Math.exp(logOfRow(i, d) - logOfKey(j, d));
        }
        weights[i * tokens + j] = weight;
      }
    }
  }
  return weights;
}

/** Adds (q_i·diag(u)·k_iᵀ) to the diagonal. */
function addBonus({ tokens, width, q, k, u }: CoreHead, weights: Float64Array): void {
  for (let i = 0; i < tokens; i++) {
    for (let d = 0; d < width; d++) weights[i * tokens + i] += q[i * width + d] * u[d] * k[i * width + d];
  }
}

/** T·right with T = (I − A)⁻¹ built row by row: T_i = e_i + Σ_{j<i} A_ij T_j. */
function solve(a: Float64Array, right: Float64Array, tokens: number, columns: number): Float64Array {
  const inverse = new Float64Array(tokens * tokens);
  for (let i = 0; i < tokens; i++) {
    const row = inverse.subarray(i * tokens, (i + 1) * tokens);
    row[i] = 1;
    for (let j = 0; j < i; j++) addRow(row, a[i * tokens + j], inverse, j);
  }
  return plusProduct(new Float64Array(tokens * columns), inverse, right, columns);
}

/** sum ← sum + left·right, with `columns` columns; returns the sum. Zeros of `left` are skipped: they lie in the future. */
function plusProduct(
  sum: Float64Array,
  left: Float64Array,
  right: Float64Array,
  columns: number,
): Float64Array {
  const rows = sum.length / columns;
  const depth = left.length / rows;
  for (let i = 0; i < rows; i++) {
    const row = sum.subarray(i * columns, (i + 1) * columns);
    for (let j = 0; j < depth; j++) {
      const weight = left[i * depth + j];
      if (weight !== 0) addRow(row, weight, right, j);
    }
  }
  return sum;
}
