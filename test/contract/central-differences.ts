/**
 * @file Gradients of the f64 reference against central differences: along random directions of every input and parameter,
 * or coordinate by coordinate.
 */
import { expect } from "vitest";
import {
  type AttentionInputs,
  type Random,
  random,
  referenceBackward,
  referenceForward,
  type Tensor64,
  tensor64,
  widen,
} from "../../src/index.ts";
import { type Problem } from "./problem.ts";

/** A call in f64: every tensor that a gradient exists for, by the name of its gradient. */
type Variables = Readonly<Record<string, Tensor64>>;

/**
 * Steps of the fourth-order stencil. With numbers of size 1, truncation is h⁴ < 1e-19 and rounding 1e-16/h·10 = 1e-10. At
 * a kink (l1, tropical, max-plus, ReLU, top-k) within the first step the second, smaller one decides, with rounding 1e-8.
 */
const steps = [1e-5, 1e-7];

/** The tolerance that the algebra asks for, relative to the gradient's norm along the direction. */
export const gradientTolerance = 1e-6;

/** Below this a derivative counts as rounding of the loss: 1e-16·|loss|/h for the larger step. */
const noiseOfLoss = 1e-10;

/** Asserts that the reference's gradients of a call are those of its forward pass along `directions` random directions. */
export function checkDirections(problem: Problem, directions: number, ...keys: readonly (number | string)[]): void {
  const { variables, gradients, lossAlong } = differentiable(problem);
  for (const name of Object.keys(variables)) {
    const stream = random("direction", name, ...keys);
    for (let count = 0; count < directions; count++) {
      const direction = unitDirection(stream, variables[name].data.length);
      expectDerivative(name, gradients[name], direction, (step) => lossAlong(name, direction, step));
    }
  }
}

/** The same for every coordinate of every input and parameter. */
export function checkCoordinates(problem: Problem): void {
  const { variables, gradients, lossAlong } = differentiable(problem);
  for (const [name, { data }] of Object.entries(variables)) {
    data.forEach((_, place) => {
      const direction = new Float64Array(data.length);
      direction[place] = 1;
      expectDerivative(`${name}[${place}]`, gradients[name], direction, (step) => lossAlong(name, direction, step));
    });
  }
}

interface Differentiable {
  readonly variables: Variables;
  readonly gradients: Variables;
  /** Σ out·dOut where the variable is moved by step × direction. */
  readonly lossAlong: (name: string, direction: Float64Array, step: number) => number;
}

function differentiable({ composition, inputs, dOut }: Problem): Differentiable {
  const { q, k, v, bias, parameters = {}, ...rest } = inputs;
  const wide = (tensors: Readonly<Record<string, Parameters<typeof widen>[0]>>): Record<string, Tensor64> =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, widen(tensor)]));
  const variables = wide({ q, k, v, ...(bias === undefined ? {} : { bias }), ...parameters });
  const callOf = (moved: Variables): AttentionInputs<Tensor64> => {
    const { q, k, v, bias, ...parameters } = moved;
    return { ...rest, q, k, v, ...(bias === undefined ? {} : { bias }), parameters };
  };
  const gradientOfOut = tensor64(dOut.data, dOut.shape);
  const { dq, dk, dv, dBias, dParameters } = referenceBackward(composition, callOf(variables), gradientOfOut);
  return {
    variables,
    gradients: { q: dq, k: dk, v: dv, ...(dBias === undefined ? {} : { bias: dBias }), ...dParameters },
    lossAlong(name, direction, step) {
      const { data, shape } = variables[name];
      const moved = { data: data.map((value, place) => value + step * direction[place]), shape };
      const { out } = referenceForward(composition, callOf({ ...variables, [name]: moved }));
      return out.data.reduce((sum, value, place) => sum + value * gradientOfOut.data[place], 0);
    },
  };
}

function expectDerivative(
  name: string,
  gradient: Tensor64,
  direction: Float64Array,
  loss: (step: number) => number,
): void {
  const derivative = gradient.data.reduce((sum, value, place) => sum + value * direction[place], 0);
  const norm = Math.hypot(...gradient.data) / Math.sqrt(gradient.data.length);
  const scale = Math.max(Math.abs(derivative), norm);
  const excess = steps.map((step) => {
    const estimate = (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step);
    const noise = noiseOfLoss * Math.max(1, Math.abs(loss(0))) * (steps[0] / step);
    return Math.abs(estimate - derivative) - noise;
  });
  expect(Math.min(...excess), `error of the gradient of ${name}, which is ${derivative}`).toBeLessThanOrEqual(
    gradientTolerance * scale,
  );
}

function unitDirection(stream: Random, length: number): Float64Array {
  const direction = Float64Array.from(stream.normals(length));
  const norm = Math.hypot(...direction);
  return direction.map((value) => value / norm);
}
