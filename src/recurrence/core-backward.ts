/**
 * @file Gradients of one head of the core, in f64. Segments of tokens are computed forward again from kept states, then
 * walked backward with G_t = ∂L/∂M_t:
 *
 *     ∂k = G·v, ∂v = k·G, ∂a = G·c, ∂c = a·G, ∂b = M_{t−1}·∂c, ∂log w = w⊙Σ_e G⊙M_{t−1},   G_{t−1} = diag(w)G + bᵀ∂c
 */
import { chunkedForm, tokensOf } from "./chunked-form.ts";
import { type Core } from "./core.ts";
import { type CoreHead, type HeadGradients } from "./core-head.ts";
import { updateState } from "./recurrent-form.ts";

/** Tokens whose states are held at once. */
const segmentTokens = 64;

/**
 * Gradients of Σ out·dOut + Σ state·dState by every tensor of a head.
 *
 * @param dOut - gradient of the outputs before the division, [N, columns]
 * @param dState - gradient of the last state, [D, columns]
 */
export function backwardHead(
  core: Core,
  head: CoreHead,
  dOut: Float64Array,
  dState: Float64Array,
): HeadGradients {
  const { tokens, width, columns } = head;
  const gradients: HeadGradients = {
    q: new Float64Array(tokens * width),
    k: new Float64Array(tokens * width),
    v: new Float64Array(tokens * columns),
    logDecay: new Float64Array(tokens * width),
    a: new Float64Array(tokens * width),
    b: new Float64Array(tokens * width),
    u: new Float64Array(width),
    state: dState.slice(),
  };
  const starts: { readonly token: number; readonly state: Float64Array }[] = [];
  let state = head.state;
  for (let token = 0; token < tokens; token += segmentTokens) {
    starts.push({ token, state });
    const segment = { ...tokensOf(head, token, Math.min(token + segmentTokens, tokens)), state };
    ({ state } = chunkedForm(core, segment, segmentTokens));
  }
  for (const { token: start, state: first } of starts.reverse()) {
    const stop = Math.min(start + segmentTokens, tokens);
    const states = [first];
    for (let t = start; t < stop; t++) {
      const next = states[t - start].slice();
      updateState(core, head, t, next);
      states.push(next);
    }
    for (let t = stop - 1; t >= start; t--) {
      const row = dOut.subarray(t * columns, (t + 1) * columns);
      const [before, after] = [states[t - start], states[t - start + 1]];
      if (core.read === "after") readBackward(head, gradients, t, after, row);
      updateBackward(core, head, gradients, t, before);
      if (core.read === "bonus") {
        readBackward(head, gradients, t, before, row);
        bonusBackward(head, gradients, t, row);
      }
    }
  }
  return gradients;
}

/** Of q_t·M: ∂q = M·∂o, and G ← G + qᵀ∂o. */
function readBackward(
  { width, columns, q }: CoreHead,
  gradients: HeadGradients,
  t: number,
  state: Float64Array,
  row: Float64Array,
): void {
  for (let d = 0; d < width; d++) {
    const at = t * width + d;
    for (let e = 0; e < columns; e++) {
      gradients.q[at] += state[d * columns + e] * row[e];
      gradients.state[d * columns + e] += q[at] * row[e];
    }
  }
}

/** Of the update: `gradients.state` holds G_t before and G_{t−1} after. */
function updateBackward(
  core: Core,
  { width, columns, k, v, logDecay, a, b }: CoreHead,
  gradients: HeadGradients,
  t: number,
  before: Float64Array,
): void {
  const gradient = gradients.state;
  const read = new Float64Array(columns);
  const dRead = new Float64Array(columns);
  for (let d = 0; d < width; d++) {
    const at = t * width + d;
    for (let e = 0; e < columns; e++) {
      const place = d * columns + e;
      gradients.k[at] += gradient[place] * v[t * columns + e];
      gradients.v[t * columns + e] += k[at] * gradient[place];
      read[e] += b[at] * before[place];
      dRead[e] += a[at] * gradient[place];
    }
  }
  for (let d = 0; d < width; d++) {
    const at = t * width + d;
    const w = core.decay === "none" ? 1 : Math.exp(logDecay[at]);
    for (let e = 0; e < columns; e++) {
      const place = d * columns + e;
      gradients.logDecay[at] += w * gradient[place] * before[place];
      if (core.correction) {
        gradients.a[at] += gradient[place] * read[e];
        gradients.b[at] += before[place] * dRead[e];
      }
      gradient[place] = w * gradient[place] + b[at] * dRead[e];
    }
  }
}

/** Of (q·diag(u)·kᵀ)v. */
function bonusBackward(
  { width, columns, q, k, v, u }: CoreHead,
  gradients: HeadGradients,
  t: number,
  row: Float64Array,
): void {
  let weight = 0;
  let dWeight = 0;
  for (let e = 0; e < columns; e++) dWeight += v[t * columns + e] * row[e];
  for (let d = 0; d < width; d++) {
    const at = t * width + d;
    weight += q[at] * u[d] * k[at];
    gradients.q[at] += u[d] * k[at] * dWeight;
    gradients.k[at] += q[at] * u[d] * dWeight;
    gradients.u[d] += q[at] * k[at] * dWeight;
  }
  for (let e = 0; e < columns; e++) gradients.v[t * columns + e] += weight * row[e];
}
