/** @file What tests of a fused dense block share: random inputs, and its outputs and gradients against its f64 reference. */
import { expect } from "vitest";
import { random } from "../src/base/random.ts";
import { sizeOf, type Tensor } from "../src/base/tensor.ts";
import { type WasmEngine } from "../src/kernels/wasm/index.ts";

/** Products of up to a hundred terms in float32, 2^-24 each, a norm before them, and the errors of an exponential. */
const OUTPUT_TOLERANCE = 1e-5;
/** Central differences in f64 with step 1e-5, against gradients in float32. */
const SLOPE_TOLERANCE = 1e-4;
const STEP = 1e-5;

/** Inputs by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** A vector, or the rows of a tensor of more axes. */
export type Nested = readonly number[] | readonly (readonly number[])[];

/** N(0, deviation²) of a shape. */
export function draw(name: string, shape: readonly number[], deviation = 1): Tensor {
  return { data: random("dense block", name, ...shape).normals(sizeOf(shape), deviation), shape };
}

export function nested({
  data,
  shape,
}: {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}): Nested {
  const all = Array.from(data);
  if (shape.length === 1) return all;
  const width = shape[shape.length - 1];
  return Array.from({ length: all.length / width }, (_, row) => all.slice(row * width, (row + 1) * width));
}

/** One block: its f64 form, and what is held against it. */
export interface Block {
  readonly inputs: Tensors;
  /** All outputs, one after the other. */
  readonly reference: (inputs: Readonly<Record<string, Nested>>) => readonly number[];
  readonly forward: (engine: WasmEngine, inputs: Tensors) => readonly Tensor[];
  /** Gradients of Σ out·dOut by name. */
  readonly backward: (engine: WasmEngine, inputs: Tensors, dOut: readonly Tensor[]) => Tensors;
}

/** Outputs, and the slope of Σ out·dOut along a direction of every input, on engines whose memory is poisoned. */
export function expectBlock(engines: readonly WasmEngine[], block: Block): void {
  const { inputs, reference, forward, backward } = block;
  const names = Object.keys(inputs);
  const wide = Object.fromEntries(names.map((name) => [name, nested(inputs[name])]));
  const expected = reference(wide);
  const weights = draw("dOut", [expected.length]).data;
  const weigh = (changed: Readonly<Record<string, Nested>>): number =>
    reference(changed).reduce((sum, value, place) => sum + value * weights[place], 0);
  const slopes = names.map((name) => {
    const { data, shape } = inputs[name];
    const along = draw(name, [data.length]).data;
    const moved = (sign: 1 | -1): Record<string, Nested> => {
      const changed = Float64Array.from(data, (value, place) => value + sign * STEP * along[place]);
      return { ...wide, [name]: nested({ data: changed, shape }) };
    };
    return { name, along, slope: (weigh(moved(1)) - weigh(moved(-1))) / (2 * STEP) };
  });
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  for (const engine of engines) {
    engine.arena.poison();
    const outputs = forward(engine, inputs);
    const found = outputs.flatMap(({ data }) => Array.from(data));
    expect(found.length).toBe(expected.length);
    // A NaN is larger than every tolerance.
    const isFar = (value: number, place: number): boolean =>
      !(Math.abs(value - found[place]) <= OUTPUT_TOLERANCE * largest);
    expect(expected.findIndex(isFar)).toBe(-1);

    let start = 0;
    const dOut = outputs.map(({ data, shape }): Tensor => {
      start += data.length;
      return { data: weights.slice(start - data.length, start), shape };
    });
    engine.arena.poison();
    const gradients = backward(engine, inputs, dOut);
    for (const { name, along, slope } of slopes) {
      const { data, shape } = gradients[name];
      expect(shape).toEqual(inputs[name].shape);
      const parts = Array.from(data, (value, place) => value * along[place]);
      const total = parts.reduce((sum, part) => sum + part, 0);
      const size = parts.reduce((sum, part) => sum + Math.abs(part), 1);
      const error = Math.abs(total - slope) / size;
      expect({ name, isClose: error <= SLOPE_TOLERANCE, error }).toEqual({ name, isClose: true, error });
    }
  }
}
