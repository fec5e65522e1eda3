/** @file The recurrent form: token by token, as the definition says; the memory of one state, whatever N. */
import { type Core } from "./core.ts";
import { type CoreHead, type HeadResult } from "./core-head.ts";

/** The outputs of a head and its last state. */
export function recurrentForm(core: Core, head: CoreHead): HeadResult {
  const { tokens, columns } = head;
  const state = head.state.slice();
  const out = new Float64Array(tokens * columns);
  for (let t = 0; t < tokens; t++) {
    const row = out.subarray(t * columns, (t + 1) * columns);
    if (core.read === "bonus") {
      readState(head, t, state, row);
      readBonus(head, t, row);
    }
    updateState(core, head, t, state);
    if (core.read === "after") readState(head, t, state, row);
  }
  return { out, state };
}

/** M ← diag(w_t)·M + a_tᵀ(b_t·M) + k_tᵀv_t. */
export function updateState(
  core: Core,
  { width, columns, k, v, logDecay, a, b }: CoreHead,
  t: number,
  state: Float64Array,
): void {
  const read = new Float64Array(columns);
  if (core.correction) {
    for (let d = 0; d < width; d++) {
      for (let e = 0; e < columns; e++) read[e] += b[t * width + d] * state[d * columns + e];
    }
  }
  for (let d = 0; d < width; d++) {
    const at = t * width + d;
    const w = core.decay === "none" ? 1 : Math.exp(logDecay[at]);
    for (let e = 0; e < columns; e++) {
      const place = d * columns + e;
      state[place] = w * state[place] + a[at] * read[e] + k[at] * v[t * columns + e];
    }
  }
}

/** row ← q_t·M. */
function readState({ width, columns, q }: CoreHead, t: number, state: Float64Array, row: Float64Array): void {
  for (let d = 0; d < width; d++) {
    for (let e = 0; e < columns; e++) row[e] += q[t * width + d] * state[d * columns + e];
  }
}

/** row ← row + (q_t·diag(u)·k_tᵀ)v_t. */
function readBonus({ width, columns, q, k, v, u }: CoreHead, t: number, row: Float64Array): void {
  let weight = 0;
  for (let d = 0; d < width; d++) weight += q[t * width + d] * u[d] * k[t * width + d];
  for (let e = 0; e < columns; e++) row[e] += weight * v[t * columns + e];
}
