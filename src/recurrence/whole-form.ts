/**
 * @file The form in which every query sees all tokens: M = M_0 + Σ_j k_jᵀv_j, o_i = q_i·M. It is the core twice: tokens
 * that write and are not read, then queries that read and write nothing.
 */
import { type Tensor64, zeros64 } from "../base/tensor.ts";
import {
  coreBackward,
  type CoreCotangents,
  coreForward,
  type CoreGradients,
  type CoreResult,
} from "./core-reference.ts";
import { type Core, type CoreInputs } from "./core.ts";

/** What computes the core; the f64 reference unless somebody else is asked. */
export interface CoreForms {
  readonly forward: (core: Core, inputs: CoreInputs<Tensor64>) => CoreResult;
  readonly backward: (
    core: Core,
    inputs: CoreInputs<Tensor64>,
    cotangents: CoreCotangents<Tensor64>,
  ) => CoreGradients;
}

const reference: CoreForms = { forward: (core, inputs) => coreForward(core, inputs), backward: coreBackward };

/** Outputs and state; q may have another number of tokens than k and v. */
export function wholeForward(
  core: Core,
  inputs: CoreInputs<Tensor64>,
  { forward }: Pick<CoreForms, "forward"> = reference,
): CoreResult {
  const { state } = forward(writing(core), writers(core, inputs));
  const { out } = forward(core, readers(inputs, state));
  return { out, state };
}

/** Gradients by q, k, v and the first state. */
export function wholeBackward(
  core: Core,
  inputs: CoreInputs<Tensor64>,
  cotangents: CoreCotangents<Tensor64>,
  { forward, backward }: CoreForms = reference,
): CoreGradients {
  const tokens = writers(core, inputs);
  const { state } = forward(writing(core), tokens);
  const reading = backward(core, readers(inputs, state), { out: cotangents.out });
  const dState = { ...state, data: reading.state.data.slice() };
  cotangents.state?.data.forEach((value, place) => (dState.data[place] += value));
  const [batch, heads, count] = tokens.q.shape;
  const unread = zeros64([batch, heads, count, tokens.v.shape[3]]);
  const { k, v, state: first } = backward(writing(core), tokens, { out: unread, state: dState });
  return { q: reading.q, k, v: core.normalised ? columnsOf(v, inputs.v.shape) : v, state: first };
}

/** Tokens write ones beside their values themselves, so that nothing is divided where nothing is read. */
function writing(core: Core): Core {
  return { ...core, normalised: false };
}

function writers(core: Core, { q, k, v, state }: CoreInputs<Tensor64>): CoreInputs<Tensor64> {
  const [batch, heads, , width] = q.shape;
  return {
    q: zeros64([batch, heads, k.shape[2], width]),
    k,
    v: core.normalised ? withOnes(v) : v,
    ...(state === undefined ? {} : { state }),
  };
}

function readers({ q, v }: CoreInputs<Tensor64>, state: Tensor64): CoreInputs<Tensor64> {
  const [batch, heads, queries, width] = q.shape;
  return {
    q,
    k: zeros64([batch, heads, queries, width]),
    v: zeros64([batch, heads, queries, v.shape[3]]),
    state,
  };
}

function withOnes({ data, shape }: Tensor64): Tensor64 {
  const width = shape[3];
  const extended = zeros64([...shape.slice(0, 3), width + 1]);
  extended.data.forEach((_, place) => {
    const column = place % (width + 1);
    extended.data[place] = column === width ? 1 : data[Math.floor(place / (width + 1)) * width + column];
  });
  return extended;
}

/** The first columns of wider rows. */
function columnsOf(wide: Tensor64, shape: readonly number[]): Tensor64 {
  const width = shape[3];
  const cut = zeros64(shape);
  cut.data.forEach((_, place) => {
    cut.data[place] = wide.data[Math.floor(place / width) * wide.shape[3] + (place % width)];
  });
  return cut;
}
