/**
 * @file The reference's gradients against central differences of its forward pass: how a formula is checked, ours in the
 * tests and a user's own in `checkSimilarity`.
 */
import { type Random } from "../base/random.ts";
import { type Tensor, type Tensor64, tensor64, widen } from "../base/tensor.ts";
import { type Composition } from "./composition.ts";
import { type AttentionInputs } from "./inputs.ts";
import { referenceBackward, referenceForward } from "./reference.ts";

/** One derivative compared. */
export interface GradientError {
  /** The input or parameter moved: q, k, v, bias, or a parameter's name. */
  readonly name: string;
  /** The derivative along the direction, by the backward pass. */
  readonly derivative: number;
  /**
   * The difference from the central difference, beyond what rounding explains, relative to the derivative or to the
   * gradient's size, whichever is larger. Infinite where one of them is not a number.
   */
  readonly error: number;
}

/** The directions to try for an input of that many numbers. */
export type Directions = (name: string, length: number) => readonly Float64Array[];

/**
 * Steps of the fourth-order stencil. For numbers of size 1, truncation is h⁴ and rounding 1e-16/h·10 = 1e-10. At a kink
 * (|x|, max, top-k) within reach of the first step the smaller second one decides, with rounding 1e-8.
 */
const steps = [1e-5, 1e-7] as const;

/** An error after which no smaller step is tried: a tenth of what anybody asks for. */
const goodEnough = 1e-7;

/** Rounding of a loss of size 1 as the first step sees it. */
const roundingOfLoss = 1e-10;

/**
 * Derivatives of L = Σ out·dOut by the backward pass of the reference, each against
 * (8(L(h) − L(−h)) − (L(2h) − L(−2h)))/(12h) of its forward pass, in f64.
 *
 * @param composition - a complete attention
 * @param inputs - of one call
 * @param dOut - gradient of the output, [B, H, Q, E]
 * @param directions - along which to move each input and parameter
 */
export function gradientErrors(
  composition: Composition,
  inputs: AttentionInputs,
  dOut: Tensor | Tensor64,
  directions: Directions,
): readonly GradientError[] {
  const { q, k, v, bias, parameters = {}, ...rest } = inputs;
  const variables: Readonly<Record<string, Tensor | Tensor64>> = {
    q,
    k,
    v,
    ...(bias === undefined ? {} : { bias }),
    ...parameters,
  };
  const wide = Object.fromEntries(Object.entries(variables).map(([name, tensor]) => [name, widen(tensor)]));
  const callOf = (tensors: Readonly<Record<string, Tensor64>>): AttentionInputs<Tensor64> => {
    const { q, k, v, bias, ...parameters } = tensors;
    return { ...rest, q, k, v, ...(bias === undefined ? {} : { bias }), parameters };
  };
  const lossOf = (tensors: Readonly<Record<string, Tensor64>>): number => {
    const { out } = referenceForward(composition, callOf(tensors));
    return out.data.reduce((sum, value, place) => sum + value * dOut.data[place], 0);
  };
  const { dq, dk, dv, dBias, dParameters } = referenceBackward(
    composition,
    callOf(wide),
    tensor64(dOut.data, dOut.shape),
  );
  const gradients: Readonly<Record<string, Tensor64 | undefined>> = {
    q: dq,
    k: dk,
    v: dv,
    bias: dBias,
    ...dParameters,
  };
  const loss = Math.abs(lossOf(wide));

  return Object.entries(wide).flatMap(([name, tensor]) => {
    const gradient = gradients[name]!.data;
    return directions(name, tensor.data.length).map((direction): GradientError => {
      const derivative = gradient.reduce((sum, value, place) => sum + value * direction[place], 0);
      const size = Math.max(Math.abs(derivative), Math.hypot(...gradient) / Math.sqrt(gradient.length));
      const lossAt = (step: number): number => {
        const data = tensor.data.map((value, place) => value + step * direction[place]);
        return lossOf({ ...wide, [name]: { data, shape: tensor.shape } });
      };
      let error = Infinity;
      for (const h of steps) {
        const estimate = (8 * (lossAt(h) - lossAt(-h)) - (lossAt(2 * h) - lossAt(-2 * h))) / (12 * h);
        const rounding = (roundingOfLoss * Math.max(1, loss) * steps[0]) / h;
        const excess = Math.abs(estimate - derivative) - rounding;
        if (excess <= 0) return { name, derivative, error: 0 };
        if (!Number.isNaN(excess)) error = Math.min(error, excess / size);
        if (error < goodEnough) break;
      }
      return { name, derivative, error };
    });
  });
}

/** Random directions of length 1. */
export function randomDirections(stream: Random, count: number): Directions {
  return (_, length) =>
    Array.from({ length: count }, () => {
      const direction = Float64Array.from(stream.normals(length));
      const norm = Math.hypot(...direction);
      return direction.map((value) => value / norm);
    });
}

/** Every coordinate on its own. */
export const coordinateDirections: Directions = (_, length) =>
  Array.from({ length }, (_unused, place) => new Float64Array(length).fill(1, place, place + 1));
