/**
 * @file The parallel form: every pair of tokens on its own, for small N. With L_t = Σ_{s≤t} log w_s,
 *
 *     o_i = (q_i⊙e^{L_i})·M_0 + Σ_{j≤i} ⟨q_i, a_j⟩_{ij} c_j + ⟨q_i, k_j⟩_{ij} v_j,   ⟨x_i, y_j⟩_{ij} = Σ_d x_i y_j e^{L_i − L_j}
 *
 * where the corrections solve the triangular system c_i = (b_i⊙e^{L_{i−1}})·M_0 + Σ_{j<i} ⟨b_i, a_j⟩ c_j + ⟨b_i, k_j⟩ v_j
 * with L_{i−1} in place of L_i. Only differences of cumulative logs, which are ≤ 0, are exponentiated.
 */
import { type Core } from "./core.ts";
import { type CoreHead, type HeadResult } from "./core-head.ts";

/** The outputs of a head and its last state. */
export function parallelForm(core: Core, head: CoreHead): HeadResult {
  const { tokens, width, columns, q, k, v, a, b, u } = head;
  const logs = cumulativeLogs(head);
  const out = new Float64Array(tokens * columns);
  const corrections = new Float64Array(tokens * columns);
  const last = core.read === "after" ? 1 : 0;

  /** Σ_d x_i[d]·y_j[d]·e^{L_to − L_{j+1}}, rows of logs counted from the state before the first token. */
  const weigh = (x: Float64Array, i: number, y: Float64Array, j: number, to: number): number => {
    let weight = 0;
    for (let d = 0; d < width; d++) {
      const factor = Math.exp(logs[to * width + d] - logs[(j + 1) * width + d]);
      weight += x[i * width + d] * y[j * width + d] * factor;
    }
    return weight;
  };
  /** row ← row + x_i read from the state after `to` tokens. */
  const read = (row: Float64Array, x: Float64Array, i: number, to: number): void => {
    for (let d = 0; d < width; d++) {
      const coefficient = x[i * width + d] * Math.exp(logs[to * width + d]);
      for (let e = 0; e < columns; e++) row[e] += coefficient * head.state[d * columns + e];
    }
    for (let j = 0; j < to; j++) {
      if (core.correction) addRow(row, weigh(x, i, a, j, to), corrections, j);
      addRow(row, weigh(x, i, k, j, to), v, j);
    }
  };
  for (let i = 0; i < tokens; i++) {
    const at = [i * columns, (i + 1) * columns] as const;
    if (core.correction) read(corrections.subarray(...at), b, i, i);
    read(out.subarray(...at), q, i, i + last);
    if (core.read === "bonus") {
      let weight = 0;
      for (let d = 0; d < width; d++) weight += q[i * width + d] * u[d] * k[i * width + d];
      addRow(out.subarray(...at), weight, v, i);
    }
  }
  return { out, state: lastState(core, head, logs, corrections) };
}

/** Rows L_0 = 0, L_1, … L_N of cumulative log decays, [N + 1, D]. */
export function cumulativeLogs({ tokens, width, logDecay }: CoreHead): Float64Array {
  const logs = new Float64Array((tokens + 1) * width);
  for (let at = 0; at < tokens * width; at++) logs[at + width] = logs[at] + logDecay[at];
  return logs;
}

/** M_N = diag(e^{L_N})·M_0 + Σ_j diag(e^{L_N − L_j})(a_jᵀc_j + k_jᵀv_j). */
export function lastState(
  core: Core,
  { tokens, width, columns, k, v, a, state: first }: CoreHead,
  logs: Float64Array,
  corrections: Float64Array,
): Float64Array {
  const state = new Float64Array(width * columns);
  for (let d = 0; d < width; d++) {
    const row = state.subarray(d * columns, (d + 1) * columns);
    const end = logs[tokens * width + d];
    addRow(row, Math.exp(end), first, d);
    for (let j = 0; j < tokens; j++) {
      const factor = Math.exp(end - logs[(j + 1) * width + d]);
      if (core.correction) addRow(row, factor * a[j * width + d], corrections, j);
      addRow(row, factor * k[j * width + d], v, j);
    }
  }
  return state;
}

/** row ← row + weight · the matrix's row. */
export function addRow(row: Float64Array, weight: number, matrix: Float64Array, at: number): void {
  for (let e = 0; e < row.length; e++) row[e] += weight * matrix[at * row.length + e];
}
