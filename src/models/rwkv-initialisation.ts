/**
 * @file How tensors of an RWKV begin: orthogonal matrices, numbers that depend on the channel and the layer, zeros. Everything that writes
 * into the residual stream begins at zero, so that a new model is its embedding and its head.
 */
import { random } from "../base/random.ts";
import { sizeOf, type Tensor, tensor } from "../base/tensor.ts";
import { type ModelParameter } from "./model.ts";

/** A tensor's numbers, from a seed and its name. */
export type Begin = (seed: number, name: string, shape: readonly number[]) => Tensor;

/** One tensor of a block; its name in the model has the block's prefix before it. */
export interface RwkvParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly begin: Begin;
}

/** As a parameter of a model; weight decay is for matrices of linear layers alone. */
export function parameterOf({ name, shape, begin }: RwkvParameter, prefix: string): ModelParameter {
  const full = `${prefix}${name}`;
  return {
    name: full,
    shape,
    decays: name.endsWith(".weight") && shape.length === 2,
    initial: (seed) => begin(seed, full, shape),
  };
}

/** The same number everywhere. */
export const filled =
  (value: number): Begin =>
  (_seed, _name, shape) =>
    tensor(new Float32Array(sizeOf(shape)).fill(value), shape);

/** Of the channel at each place of a vector, in order. */
export const perChannel =
  (value: (channel: number) => number): Begin =>
  (_seed, _name, shape) =>
    tensor(
      Float32Array.from({ length: sizeOf(shape) }, (_, channel) => value(channel)),
      shape,
    );

/** Uniform from −bound to bound. */
export const uniform =
  (bound: number): Begin =>
  (seed, name, shape) => {
    const stream = random(seed, "init", name);
    return tensor(
      Float32Array.from({ length: sizeOf(shape) }, () => bound * (2 * stream.uniform() - 1)),
      shape,
    );
  };

/**
 * Rows, or columns where those are fewer, that are orthonormal, times a gain: normal draws, each made perpendicular to those before it
 * (Saxe, McClelland & Ganguli 2014). Twice over, as once leaves what roundings of nearly parallel draws leave.
 */
export const orthogonal =
  (gain: number): Begin =>
  (seed, name, shape) => {
    const [rows, columns] = shape;
    const [count, width] = [Math.min(rows, columns), Math.max(rows, columns)];
    const stream = random(seed, "init", name);
    const vectors: Float64Array[] = [];
    for (let index = 0; index < count; index++) {
      const vector = Float64Array.from({ length: width }, () => stream.normal());
      for (const before of [...vectors, ...vectors]) {
        const along = dot(vector, before);
        vector.forEach((value, place) => (vector[place] = value - along * before[place]));
      }
      const norm = Math.sqrt(dot(vector, vector));
      vectors.push(vector.map((value) => value / norm));
    }
    const at = (row: number, column: number): number =>
      rows <= columns ? vectors[row][column] : vectors[column][row];
    return tensor(
      Float32Array.from({ length: rows * columns }, (_, place) => {
        return gain * at(Math.floor(place / columns), place % columns);
      }),
      [rows, columns],
    );
  };

function dot(one: Float64Array, other: Float64Array): number {
  let sum = 0;
  for (let place = 0; place < one.length; place++) sum += one[place] * other[place];
  return sum;
}

/** The gain that keeps the size of what a matrix gives: √(rows/columns) where there are more rows. */
export function aspectGain([rows, columns]: readonly [number, number]): number {
  return Math.sqrt(Math.max(1, rows / columns));
}
