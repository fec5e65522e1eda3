/**
 * @file One head of a call of the core in plain arrays, every optional input filled in, so that the three forms need
 * not know about batches, shared heads and broadcast decays. Gradients take the way back.
 */
import { type Tensor, type Tensor64, zeros64 } from "../base/tensor.ts";
import { type Core, type CoreInputs, type CoreSizes, sharedHead } from "./core.ts";

/** One head: rows of N tokens. */
export interface CoreHead {
  readonly tokens: number;
  readonly width: number;
  /** Columns of values and state, with the one of ones where normalised. */
  readonly columns: number;
  /** [N, D] */
  readonly q: Float64Array;
  readonly k: Float64Array;
  /** [N, columns] */
  readonly v: Float64Array;
  /** [N, D]; zeros without decay. */
  readonly logDecay: Float64Array;
  /** [N, D]; zeros without correction. */
  readonly a: Float64Array;
  readonly b: Float64Array;
  /** [D]; zeros without bonus. */
  readonly u: Float64Array;
  /** [D, columns] */
  readonly state: Float64Array;
}

/** What a form returns for one head, before the division. */
export interface HeadResult {
  /** [N, columns] */
  readonly out: Float64Array;
  /** [D, columns] */
  readonly state: Float64Array;
}

/** The tensors of {@link CoreHead}. */
export type HeadTensor = "q" | "k" | "v" | "logDecay" | "a" | "b" | "u" | "state";

/** Gradients of one head. */
export type HeadGradients = Readonly<Record<HeadTensor, Float64Array>>;

/** e^−1000 is zero in f64, and sums of such logs stay finite. */
const forgetsAll = -1000;

/** Cuts one head out of the inputs. */
export function cutHead(
  core: Core,
  sizes: CoreSizes,
  inputs: CoreInputs,
  batch: number,
  head: number,
): CoreHead {
  const { tokens, width, valueWidth, stateWidth } = sizes;
  const rows = (tensor: Tensor | Tensor64 | undefined): Float64Array =>
    tensor === undefined
      ? new Float64Array(tokens * width)
      : Float64Array.from(slice(tensor, sizes, batch, head));
  const values = Float64Array.from(slice(inputs.v, sizes, batch, head));
  return {
    tokens,
    width,
    columns: stateWidth,
    q: rows(inputs.q),
    k: rows(inputs.k),
    v: core.normalised ? withOnes(values, valueWidth) : values,
    logDecay: decayRows(sizes, inputs.logDecay, batch, head),
    a: rows(inputs.a),
    b: rows(inputs.b),
    u:
      inputs.u === undefined
        ? new Float64Array(width)
        : Float64Array.from(inputs.u.data.subarray(head * width, (head + 1) * width)),
    state:
      inputs.state === undefined
        ? new Float64Array(width * stateWidth)
        : Float64Array.from(slice(inputs.state, sizes, batch, head)),
  };
}

/** Zeros of the shapes of the inputs, and of the state. */
export function zeroGradients(
  inputs: CoreInputs,
  { batch, heads, width, stateWidth }: CoreSizes,
): CoreInputs<Tensor64> & { readonly state: Tensor64 } {
  const named = Object.entries(inputs) as [HeadTensor, Tensor | Tensor64 | undefined][];
  const given = named.flatMap(([name, tensor]) =>
    tensor === undefined ? [] : [[name, zeros64(tensor.shape)] as const],
  );
  return {
    ...(Object.fromEntries(given) as unknown as CoreInputs<Tensor64>),
    state: zeros64([batch, heads, width, stateWidth]),
  };
}

/** Adds one head's gradients where their inputs came from. */
export function foldHead(
  sizes: CoreSizes,
  gradients: CoreInputs<Tensor64>,
  head: HeadGradients,
  batch: number,
  place: number,
): void {
  const { tokens, width, valueWidth, stateWidth } = sizes;
  const add = (tensor: Tensor64 | undefined, rows: Float64Array): void => {
    if (tensor === undefined) return;
    const target = slice(tensor, sizes, batch, place);
    for (let at = 0; at < rows.length; at++) target[at] += rows[at];
  };
  for (const name of ["q", "k", "a", "b", "state"] as const) add(gradients[name], head[name]);
  const values = slice(gradients.v, sizes, batch, place);
  for (let at = 0; at < values.length; at++) {
    values[at] += head.v[Math.floor(at / valueWidth) * stateWidth + (at % valueWidth)];
  }
  if (gradients.u !== undefined) {
    for (let d = 0; d < width; d++) gradients.u.data[place * width + d] += head.u[d];
  }
  const { logDecay } = gradients;
  if (logDecay === undefined) return;
  for (let t = 0; t < tokens; t++) {
    for (let d = 0; d < width; d++) {
      logDecay.data[decayPlace(logDecay.shape, sizes, batch, place, t, d)] += head.logDecay[t * width + d];
    }
  }
}

/** The part of a [B, heads, …] tensor that belongs to a query head. */
function slice<T extends Tensor | Tensor64>(
  { data, shape }: T,
  { heads }: CoreSizes,
  batch: number,
  head: number,
): T["data"] {
  const size = shape[2] * shape[3];
  const place = batch * shape[1] + sharedHead(head, heads, shape[1]);
  return data.subarray(place * size, (place + 1) * size);
}

function withOnes(values: Float64Array, width: number): Float64Array {
  const tokens = values.length / width;
  const extended = new Float64Array(tokens * (width + 1)).fill(1);
  for (let t = 0; t < tokens; t++) extended.set(values.subarray(t * width, (t + 1) * width), t * (width + 1));
  return extended;
}

function decayRows(
  sizes: CoreSizes,
  tensor: Tensor | Tensor64 | undefined,
  batch: number,
  head: number,
): Float64Array {
  const { tokens, width } = sizes;
  const rows = new Float64Array(tokens * width);
  if (tensor === undefined) return rows;
  return rows.map((_, at) => {
    const place = decayPlace(tensor.shape, sizes, batch, head, Math.floor(at / width), at % width);
    return Math.max(tensor.data[place], forgetsAll);
  });
}

/** Place of the log decay of a token's channel in any of the four shapes it may have. */
function decayPlace(
  shape: readonly number[],
  { heads, tokens, width }: CoreSizes,
  batch: number,
  head: number,
  token: number,
  channel: number,
): number {
  if (shape.length === 1) return head;
  if (shape.length === 2) return head * width + channel;
  const row = (batch * shape[1] + sharedHead(head, heads, shape[1])) * tokens + token;
  return shape.length === 3 ? row : row * width + channel;
}
