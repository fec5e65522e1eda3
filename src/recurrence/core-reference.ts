/**
 * @file The f64 reference of the core: outputs and last state in any of three forms that agree, and gradients by every
 * input. Readable, never optimised; every kernel is held against it.
 */
import { type Tensor, type Tensor64, zeros64 } from "../base/tensor.ts";
import { chunkedForm } from "./chunked-form.ts";
import { backwardHead } from "./core-backward.ts";
import { type CoreHead, cutHead, foldHead, type HeadResult, zeroGradients } from "./core-head.ts";
import { checkCoreInputs, type Core, type CoreInputs, type CoreSizes, requireShape } from "./core.ts";
import { parallelForm } from "./parallel-form.ts";
import { recurrentForm } from "./recurrent-form.ts";

/** Token by token; all pairs at once; or chunks of that many tokens. */
export type Form = "recurrent" | "parallel" | { readonly chunk: number };

/** What the core computes. */
export interface CoreResult {
  /** [B, H, N, E] */
  readonly out: Tensor64;
  /** M after the last token, [B, H, D, E], or [B, H, D, E + 1] where normalised. */
  readonly state: Tensor64;
}

/** Gradients of what the core computes. */
export interface CoreCotangents<T = Tensor | Tensor64> {
  /** Gradient of out, [B, H, N, E]. */
  readonly out: T;
  /** Gradient of the last state; zeros when absent. */
  readonly state?: T;
}

/** Gradients of a call, each with the name and shape of its input; the one of the first state is always there. */
export type CoreGradients = CoreInputs<Tensor64> & { readonly state: Tensor64 };

/**
 * Outputs and last state in f64.
 *
 * @param core - the terms of the update
 * @param inputs - q [B, H, N, D], k [B, G, N, D], v [B, G, N, E] and what else the terms need
 * @param form - how it is computed (default the definition, token by token)
 * @throws ShapeError, DomainError or NumbersError when inputs do not fit
 */
export function coreForward(core: Core, inputs: CoreInputs, form: Form = "recurrent"): CoreResult {
  const sizes = checkCoreInputs(core, inputs);
  const { batch, heads, tokens, width, valueWidth, stateWidth } = sizes;
  const out = zeros64([batch, heads, tokens, valueWidth]);
  const state = zeros64([batch, heads, width, stateWidth]);
  for (const { place, at } of headsOf(sizes)) {
    const result = inForm(core, cutHead(core, sizes, inputs, ...at), form);
    out.data.set(divide(core, sizes, result.out), place * tokens * valueWidth);
    state.data.set(result.state, place * width * stateWidth);
  }
  return { out, state };
}

/**
 * Gradients of Σ out·dOut + Σ state·dState in f64.
 *
 * @param cotangents - gradients of the outputs and, where they are used, of the last state
 * @throws ShapeError, DomainError or NumbersError when inputs do not fit
 */
export function coreBackward(core: Core, inputs: CoreInputs, cotangents: CoreCotangents): CoreGradients {
  const sizes = checkCoreInputs(core, inputs);
  const { batch, heads, tokens, width, valueWidth, stateWidth } = sizes;
  requireShape("the gradient of out", cotangents.out.shape, [batch, heads, tokens, valueWidth]);
  if (cotangents.state !== undefined) {
    requireShape("the gradient of the state", cotangents.state.shape, [batch, heads, width, stateWidth]);
  }
  const gradients = zeroGradients(inputs, sizes);
  for (const { place, at } of headsOf(sizes)) {
    const head = cutHead(core, sizes, inputs, ...at);
    const rows = (tensor: Tensor | Tensor64 | undefined, size: number): Float64Array =>
      tensor === undefined
        ? new Float64Array(size)
        : Float64Array.from(tensor.data.subarray(place * size, (place + 1) * size));
    const dOut = divideBackward(core, sizes, head, rows(cotangents.out, tokens * valueWidth));
    const dState = rows(cotangents.state, width * stateWidth);
    foldHead(sizes, gradients, backwardHead(core, head, dOut, dState), ...at);
  }
  return gradients;
}

function inForm(core: Core, head: CoreHead, form: Form): HeadResult {
  if (form === "recurrent") return recurrentForm(core, head);
  if (form === "parallel") return parallelForm(core, head);
  return chunkedForm(core, head, form.chunk);
}

/** Every head of every batch entry. */
function* headsOf({ batch, heads }: CoreSizes): Generator<{ place: number; at: [number, number] }> {
  for (let place = 0; place < batch * heads; place++) {
    yield { place, at: [Math.floor(place / heads), place % heads] };
  }
}

/** Rows of numerators over their last column plus epsilon. */
function divide(
  { normalised, epsilon }: Core,
  { tokens, valueWidth, stateWidth }: CoreSizes,
  rows: Float64Array,
): Float64Array {
  if (!normalised) return rows;
  return Float64Array.from({ length: tokens * valueWidth }, (_, at) => {
    const start = Math.floor(at / valueWidth) * stateWidth;
    return rows[start + (at % valueWidth)] / (rows[start + valueWidth] + epsilon);
  });
}

/** Gradient of the rows before the division. */
function divideBackward(core: Core, sizes: CoreSizes, head: CoreHead, dOut: Float64Array): Float64Array {
  if (!core.normalised) return dOut;
  const { tokens, valueWidth, stateWidth } = sizes;
  const { out } = recurrentForm(core, head);
  const gradient = new Float64Array(tokens * stateWidth);
  for (let t = 0; t < tokens; t++) {
    const sum = out[t * stateWidth + valueWidth] + core.epsilon;
    for (let e = 0; e < valueWidth; e++) {
      const share = dOut[t * valueWidth + e] / sum;
      gradient[t * stateWidth + e] = share;
      gradient[t * stateWidth + valueWidth] -= (share * out[t * stateWidth + e]) / sum;
    }
  }
  return gradient;
}
