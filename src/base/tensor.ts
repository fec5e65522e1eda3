/**
 * @file Tensors of the public surface: a flat row-major array and its shape, no framework needed.
 * Float32 is the currency between parts; Float64 is the reference's.
 */
import { NumbersError, ShapeError } from "./errors.ts";

/** A dense row-major float32 tensor. */
export interface Tensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A dense row-major float64 tensor, as the reference uses it. */
export interface Tensor64 {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

/** Number of elements of a shape; 1 for a scalar's empty shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * A float32 tensor over `data` (copied only when it is not a Float32Array already).
 *
 * @throws ShapeError `tensor-size` when the shape does not hold exactly the elements of `data`
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]); // [B, H, N, D]
 * ```
 */
export function tensor(data: ArrayLike<number>, shape: readonly number[]): Tensor {
  requireSize(data.length, shape);
  return { data: data instanceof Float32Array ? data : new Float32Array(data), shape };
}

/** A float64 tensor over `data` (copied only when it is not a Float64Array already). */
export function tensor64(data: ArrayLike<number>, shape: readonly number[]): Tensor64 {
  requireSize(data.length, shape);
  return { data: data instanceof Float64Array ? data : new Float64Array(data), shape };
}

/** A float64 tensor of zeros. */
export function zeros64(shape: readonly number[]): Tensor64 {
  return { data: new Float64Array(sizeOf(shape)), shape };
}

/** The same numbers in float64. */
export function widen(source: Tensor | Tensor64): Tensor64 {
  return tensor64(source.data, source.shape);
}

/** The same numbers rounded to float32. */
export function narrow(source: Tensor | Tensor64): Tensor {
  return tensor(source.data, source.shape);
}

/**
 * Refuses NaN and infinities.
 *
 * @throws NumbersError `not-finite`, naming the tensor and the first bad place
 */
export function requireFinite(name: string, tensor: Tensor | Tensor64): void {
  if (areFinite(tensor)) return;
  const { data, shape } = tensor;
  let bad = 0;
  while (Number.isFinite(data[bad])) bad++;
  throw new NumbersError(
    "not-finite",
    `Cannot use ${name} as every number must be finite: ${data[bad]} at [${placeOf(bad, shape).join(", ")}]. ` +
      "Look for a division by zero or an overflow where it was made",
  );
}

/** Whether no number is NaN or infinite. */
export function areFinite({ data }: Tensor | Tensor64): boolean {
  // x − x is 0 where x is finite and NaN elsewhere. Four sums, so that none waits for itself.
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = data.length - (data.length % 4);
  for (let place = 0; place < whole; place += 4) {
    a += data[place] - data[place];
    b += data[place + 1] - data[place + 1];
    c += data[place + 2] - data[place + 2];
    d += data[place + 3] - data[place + 3];
  }
  for (let place = whole; place < data.length; place++) a += data[place] - data[place];
  return a + b + c + d === 0;
}

function placeOf(flat: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    place.unshift(flat % shape[axis]);
    flat = Math.floor(flat / shape[axis]);
  }
  return place;
}

function requireSize(length: number, shape: readonly number[]): void {
  if (shape.every((extent) => Number.isInteger(extent) && extent >= 0) && sizeOf(shape) === length) return;
  throw new ShapeError(
    "tensor-size",
    `Cannot make a tensor as its shape must hold exactly its numbers: shape [${shape.join(", ")}], ${length} numbers. ` +
      "Pass a shape whose product is the length",
  );
}
