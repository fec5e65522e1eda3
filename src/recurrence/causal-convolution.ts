/**
 * @file The short causal convolution that gated delta nets and their kin put before a recurrence: every channel on its own,
 * over the last K tokens, with a state so that it can go on token by token.
 */
import { DomainError, ShapeError } from "../base/errors.ts";
import { requireFinite, sizeOf, type Tensor, type Tensor64, zeros64 } from "../base/tensor.ts";
import { requireShape } from "./core.ts";

/** The tensors of a call. */
export interface CausalConvolutionInputs<T = Tensor | Tensor64> {
  /** [B, C, N] */
  readonly x: T;
  /** One kernel a channel, its last number for the token itself, [C, 1, K]. */
  readonly weight: T;
  /** [C]; zeros when absent. */
  readonly bias?: T;
  /** The K − 1 inputs before the first token, [B, C, K − 1]; zeros when absent. */
  readonly state?: T;
}

/** What is applied to sums: nothing, or y·σ(y). */
export interface CausalConvolutionOptions {
  readonly activation?: "none" | "silu";
}

/** Outputs and the state for the tokens that follow. */
export interface CausalConvolutionResult {
  /** [B, C, N] */
  readonly out: Tensor64;
  /** The last K − 1 inputs, [B, C, K − 1]. */
  readonly state: Tensor64;
}

/**
 * y_t = activation(bias + Σ_{s<K} weight_s·x_{t−K+1+s}) in f64, the inputs before the first token from the state: ONNX's
 * CausalConvWithState (operator set 27).
 *
 * @param inputs - x [B, C, N] and weight [C, 1, K], and where they are there bias [C] and state [B, C, K − 1]
 * @param options - `activation` (default none)
 * @throws ShapeError `recurrence-shape` or `tensor-size`, DomainError `activation`, NumbersError for NaN and infinities
 * @see https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html
 * @example
 * ```ts
 * import { causalConvolution, tensor } from "qklab";
 * const [x, weight] = [tensor([1, 2, 3], [1, 1, 3]), tensor([10, 1], [1, 1, 2])];
 * const { out, state } = causalConvolution({ x, weight });
 * out.data; // [1, 12, 23]
 * state.data; // [3]
 * ```
 */
export function causalConvolution(
  inputs: CausalConvolutionInputs,
  options: CausalConvolutionOptions = {},
): CausalConvolutionResult {
  const call = check(inputs, options);
  const { tokens, kernel, isSilu } = call;
  const out = zeros64(inputs.x.shape);
  const state = zeros64(call.stateShape);
  for (const { sequence, channel, row } of rowsOf(call, inputs)) {
    for (let t = 0; t < tokens; t++) {
      const sum = sumAt(call, inputs, sequence, channel, t);
      out.data[row * tokens + t] = isSilu ? sum * sigmoid(sum) : sum;
    }
    state.data.set(sequence.subarray(tokens), row * (kernel - 1));
  }
  return { out, state };
}

/**
 * Gradients of Σ out·dOut + Σ state·dState in f64, by every input of {@link causalConvolution}.
 *
 * @param cotangents - `dOut` [B, C, N], and `dState` [B, C, K − 1] where the last state is used
 * @returns gradients by name, those of bias and state too
 */
export function causalConvolutionBackward(
  inputs: CausalConvolutionInputs,
  cotangents: { readonly dOut: Tensor | Tensor64; readonly dState?: Tensor | Tensor64 },
  options: CausalConvolutionOptions = {},
): Readonly<Record<"dx" | "dWeight" | "dBias" | "dState", Tensor64>> {
  const call = check(inputs, options);
  const { tokens, kernel, channels, isSilu } = call;
  const { dOut, dState: dLast } = cotangents;
  requireShape("dOut", dOut.shape, inputs.x.shape);
  if (dLast !== undefined) requireShape("dState", dLast.shape, call.stateShape);
  const dx = zeros64(inputs.x.shape);
  const dWeight = zeros64(inputs.weight.shape);
  const dBias = zeros64([channels]);
  const dState = zeros64(call.stateShape);
  for (const { sequence, channel, row } of rowsOf(call, inputs)) {
    const gradient = new Float64Array(sequence.length);
    for (let s = 0; s < kernel - 1; s++) gradient[tokens + s] = dLast?.data[row * (kernel - 1) + s] ?? 0;
    for (let t = 0; t < tokens; t++) {
      const sum = sumAt(call, inputs, sequence, channel, t);
      const gate = sigmoid(sum);
      const slope = isSilu ? gate * (1 + sum * (1 - gate)) : 1;
      const dSum = slope * dOut.data[row * tokens + t];
      dBias.data[channel] += dSum;
      for (let s = 0; s < kernel; s++) {
        dWeight.data[channel * kernel + s] += dSum * sequence[t + s];
        gradient[t + s] += dSum * inputs.weight.data[channel * kernel + s];
      }
    }
    dState.data.set(gradient.subarray(0, kernel - 1), row * (kernel - 1));
    dx.data.set(gradient.subarray(kernel - 1), row * tokens);
  }
  return { dx, dWeight, dBias, dState };
}

interface Call {
  readonly channels: number;
  readonly tokens: number;
  readonly kernel: number;
  readonly stateShape: readonly number[];
  readonly isSilu: boolean;
}

function check(
  { x, weight, bias, state }: CausalConvolutionInputs,
  { activation = "none" }: CausalConvolutionOptions,
): Call {
  if (activation !== "none" && activation !== "silu") {
    throw new DomainError(
      "activation",
      `Cannot convolve as the activation must be none or silu: ${String(activation)}. Pass one of them`,
    );
  }
  if (x.shape.length !== 3 || x.shape.some((extent) => extent < 1)) {
    throw new ShapeError(
      "recurrence-shape",
      `Cannot convolve as x must be [B, C, N] without empty extents: [${x.shape.join(", ")}]. Reshape it`,
    );
  }
  const [batch, channels, tokens] = x.shape;
  const kernel = Math.max(1, weight.shape[2] ?? 1);
  const stateShape = [batch, channels, kernel - 1];
  requireShape("weight", weight.shape, [channels, 1, kernel]);
  if (bias !== undefined) requireShape("bias", bias.shape, [channels]);
  if (state !== undefined) requireShape("state", state.shape, stateShape);
  for (const [name, tensor] of Object.entries({ x, weight, bias, state })) {
    if (tensor === undefined) continue;
    if (tensor.data.length !== sizeOf(tensor.shape)) {
      throw new ShapeError(
        "tensor-size",
        `Cannot convolve as ${name} must hold exactly the numbers of its shape: shape [${tensor.shape.join(", ")}], ` +
          `${tensor.data.length} numbers. Pass a shape whose product is the length`,
      );
    }
    requireFinite(name, tensor);
  }
  return { channels, tokens, kernel, stateShape, isSilu: activation === "silu" };
}

/** Every channel of every batch entry: its state and its tokens, one after the other. */
function* rowsOf(
  { channels, tokens, kernel }: Call,
  { x, state }: CausalConvolutionInputs,
): Generator<{ readonly sequence: Float64Array; readonly channel: number; readonly row: number }> {
  for (let row = 0; row < x.data.length / tokens; row++) {
    const sequence = new Float64Array(kernel - 1 + tokens);
    if (state !== undefined) sequence.set(state.data.subarray(row * (kernel - 1), (row + 1) * (kernel - 1)));
    sequence.set(x.data.subarray(row * tokens, (row + 1) * tokens), kernel - 1);
    yield { sequence, channel: row % channels, row };
  }
}

function sumAt(
  { kernel }: Call,
  { weight, bias }: CausalConvolutionInputs,
  sequence: Float64Array,
  channel: number,
  t: number,
): number {
  let sum = bias?.data[channel] ?? 0;
  for (let s = 0; s < kernel; s++) sum += weight.data[channel * kernel + s] * sequence[t + s];
  return sum;
}

const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));
