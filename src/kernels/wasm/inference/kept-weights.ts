/**
 * @file Weights that stay in an engine's memory from call to call, as the kernels of inference read them: matrices in panels of eight
 * outputs, float32 or 8-bit, and vectors. Sizes are padded to multiples of eight with weights that count as zero.
 */
import { ShapeError } from "../../../base/errors.ts";
import { type QuantisedMatrix } from "../../../base/quantised-matrix.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { type NormKind } from "../dense/norm-code.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { panelBytes, type WeightKind } from "./linear-kernel.ts";

/** A linear map y = W·x + b in an engine's memory. Made by {@link keepLinear}. */
export interface KeptLinear {
  readonly kind: WeightKind;
  readonly inputs: number;
  readonly outputs: number;
  /** Addresses of the panels, and of one number an output. */
  readonly weight: number;
  readonly scale: number;
  readonly bias: number;
  /** z of 8-bit weights. */
  readonly zero: number;
  readonly sizeBytes: number;
  dispose(): void;
}

/** A norm in an engine's memory. Made by {@link keepNorm}. */
export interface KeptNorm {
  readonly kind: NormKind;
  readonly width: number;
  readonly epsilon: number;
  readonly gain: number;
  /** 0 without. */
  readonly shift: number;
  readonly sizeBytes: number;
  dispose(): void;
}

const panelOutputs = 8;

/**
 * Puts a linear map into an engine's memory until it is disposed. Not inside a call.
 *
 * @param weight - [out, in], or 8-bit numbers with a scale
 * @param bias - [out]; zeros when absent
 * @throws ShapeError `linear-shape` for sizes that do not fit; UnsupportedError `memory` beyond 4 GiB
 */
export function keepLinear(
  { arena }: WasmEngine,
  weight: Tensor | QuantisedMatrix,
  bias?: Tensor,
): KeptLinear {
  const [outputs, inputs] = weight.shape;
  requireMatrix(weight, bias);
  const quantised = "scale" in weight ? weight : undefined;
  const kind = quantised === undefined ? "f32" : quantised.data instanceof Int8Array ? "i8" : "u8";
  const [paddedOutputs, paddedInputs] = [roundUp(outputs, panelOutputs), roundUp(inputs, panelOutputs)];
  const matrixBytes = (paddedOutputs / panelOutputs) * panelBytes(kind, paddedInputs);
  const sizeBytes = matrixBytes + 8 * paddedOutputs;
  const address = arena.keep(sizeBytes);
  const [scale, zero] = [address + matrixBytes, quantised?.zeroPoint ?? 0];
  const panels =
    kind === "f32"
      ? arena.floats.subarray(address / 4, (address + matrixBytes) / 4)
      : arena.bytes.subarray(address, address + matrixBytes);
  writePanels(weight.data, panels, [outputs, inputs], paddedInputs, zero);
  const vectors = arena.floats.subarray(scale / 4, scale / 4 + 2 * paddedOutputs);
  vectors.fill(quantised?.scale ?? 1, 0, paddedOutputs).fill(0, paddedOutputs);
  if (bias !== undefined) vectors.set(bias.data, paddedOutputs);
  return {
    kind,
    inputs,
    outputs,
    weight: address,
    scale,
    bias: scale + 4 * paddedOutputs,
    zero,
    sizeBytes,
    dispose: () => arena.release(address),
  };
}

/** Panels [out/8, in, 8]; what is beyond the matrix is z, which counts as 0. */
function writePanels(
  data: ArrayLike<number>,
  panels: Float32Array | Uint8Array,
  [outputs, inputs]: readonly [number, number],
  paddedInputs: number,
  zero: number,
): void {
  panels.fill(zero);
  for (let output = 0; output < outputs; output++) {
    const start = (output - (output % panelOutputs)) * paddedInputs + (output % panelOutputs);
    const row = output * inputs;
    for (let input = 0; input < inputs; input++) panels[start + panelOutputs * input] = data[row + input];
  }
}

/**
 * Puts a norm into an engine's memory until it is disposed; `shift` is what makes it LayerNorm. Not inside a call.
 *
 * @param norm - `gain` and `shift` [width], ε
 */
export function keepNorm(
  { arena }: WasmEngine,
  { gain, shift, epsilon }: { readonly gain: Tensor; readonly shift?: Tensor; readonly epsilon: number },
): KeptNorm {
  const width = gain.data.length;
  const padded = roundUp(width, panelOutputs);
  const address = arena.keep(8 * padded);
  const vectors = arena.floats.subarray(address / 4, address / 4 + 2 * padded);
  vectors.fill(0);
  vectors.set(gain.data);
  if (shift !== undefined) vectors.set(shift.data, padded);
  return {
    kind: shift === undefined ? "rms" : "layer",
    width,
    epsilon,
    gain: address,
    shift: shift === undefined ? 0 : address + 4 * padded,
    sizeBytes: 8 * padded,
    dispose: () => arena.release(address),
  };
}

function requireMatrix({ data, shape }: Tensor | QuantisedMatrix, bias: Tensor | undefined): void {
  const [outputs, inputs] = shape;
  const fits = shape.length === 2 && data.length === outputs * inputs && data.length > 0;
  if (fits && (bias === undefined || bias.data.length === outputs)) return;
  throw new ShapeError(
    "linear-shape",
    `Cannot keep a linear map as its weights must be [out, in] and its bias [out]: ${data.length} numbers of shape ` +
      `[${shape.join(", ")}], bias of ${bias?.data.length ?? 0}. Pass weights as linear layers store theirs`,
  );
}
