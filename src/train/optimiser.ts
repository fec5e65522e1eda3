/**
 * @file AdamW (Loshchilov & Hutter 2019) over all parameters as one jitted stage: global-norm clipping, moments with bias
 * correction, decoupled weight decay.
 *
 * g ← g·min(1, clip/‖g‖); m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − η(m̂/(√v̂ + ε) + λp)
 */
import { jit, numpy as np } from "@jax-js/jax";
import { ShapeError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";

/** The constants of AdamW. */
export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** λ, for the parameters that decay. */
  readonly weightDecay?: number;
  /** The largest global norm of a gradient. */
  readonly clip?: number;
}

/** A parameter as the optimiser sees it. */
export interface OptimisedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether weight decay applies: to matrices, not to gains, biases and temperatures. */
  readonly decays: boolean;
}

type Arrays = Readonly<Record<string, np.Array>>;

/** AdamW with its moments. */
export interface Optimiser {
  /**
   * One step.
   *
   * @param parameters - by name; they are consumed
   * @param gradients - by name; they are consumed
   * @returns the parameters after the step, owned by the caller, and the gradient's global norm before clipping
   */
  step(
    parameters: Arrays,
    gradients: Arrays,
    learningRate: number,
  ): Promise<{ readonly parameters: Record<string, np.Array>; readonly gradientNorm: number }>;
  /** The moments, as `name.m` and `name.v`. */
  snapshot(): Promise<Record<string, Tensor>>;
  /** Goes on from a snapshot taken after `steps` steps. */
  restore(tensors: Readonly<Record<string, { readonly data: ArrayLike<number> }>>, steps: number): void;
  dispose(): void;
}

interface Inputs {
  readonly parameters: Arrays;
  readonly gradients: Arrays;
  readonly first: Arrays;
  readonly second: Arrays;
  /** [learning rate, 1/(1−β₁ᵗ), 1/(1−β₂ᵗ)] */
  readonly rates: np.Array;
}

/**
 * Makes the optimiser, with moments of zero.
 *
 * @param declared - every parameter that `step` will get
 */
export function adamW(declared: readonly OptimisedParameter[], options: AdamWOptions = {}): Optimiser {
  const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0.1, clip = 1 } = options;
  let steps = 0;
  let first = zeros(declared);
  let second = zeros(declared);

  const stage = jit(({ parameters, gradients, first, second, rates }: Inputs) => {
    const squares = declared.map(({ name }) => np.sum(np.square(gradients[name].ref)));
    const norm = np.sqrt(squares.reduce((sum, square) => sum.add(square)));
    const shrink = np.minimum(np.reciprocal(norm.ref.add(epsilon)).mul(clip), 1);
    const [rate, correctFirst, correctSecond] = [0, 1, 2].map((place) => rates.ref.slice(place));
    rates.dispose();
    const next = { parameters: {}, first: {}, second: {} } as Record<string, Record<string, np.Array>>;
    for (const { name, decays } of declared) {
      const gradient = gradients[name].mul(shrink.ref);
      const m = first[name].mul(beta1).add(gradient.ref.mul(1 - beta1));
      const v = second[name].mul(beta2).add(np.square(gradient).mul(1 - beta2));
      const scaled = np.sqrt(v.ref.mul(correctSecond.ref)).add(epsilon);
      const move = m.ref.mul(correctFirst.ref).div(scaled);
      const value = parameters[name];
      next["parameters"][name] = value.ref.sub(
        (decays ? move.add(value.mul(weightDecay)) : move).mul(rate.ref),
      );
      if (!decays) value.dispose();
      next["first"][name] = m;
      next["second"][name] = v;
    }
    for (const scalar of [shrink, rate, correctFirst, correctSecond]) scalar.dispose();
    return { ...next, norm };
  });

  return {
    async step(parameters, gradients, learningRate) {
      steps += 1;
      const rates = np.array([learningRate, 1 / (1 - beta1 ** steps), 1 / (1 - beta2 ** steps)]);
      const next = stage({ parameters, gradients, first, second, rates }) as unknown as Record<
        "parameters" | "first" | "second",
        Record<string, np.Array>
      > & { readonly norm: np.Array };
      first = next.first;
      second = next.second;
      const [gradientNorm] = await next.norm.data();
      return { parameters: next.parameters, gradientNorm };
    },
    async snapshot() {
      const tensors: Record<string, Tensor> = {};
      for (const { name, shape } of declared) {
        tensors[`${name}.m`] = { data: (await first[name].ref.data()) as Float32Array, shape };
        tensors[`${name}.v`] = { data: (await second[name].ref.data()) as Float32Array, shape };
      }
      return tensors;
    },
    restore(tensors, taken) {
      const read = (suffix: string): Record<string, np.Array> =>
        Object.fromEntries(
          declared.map(({ name, shape }) => [
            name,
            toArray(`${name}.${suffix}`, tensors[`${name}.${suffix}`], shape),
          ]),
        );
      const [m, v] = [read("m"), read("v")];
      disposeAll(first, second);
      [first, second] = [m, v];
      steps = taken;
    },
    dispose() {
      disposeAll(first, second);
      stage.dispose();
    },
  };
}

function zeros(declared: readonly OptimisedParameter[]): Record<string, np.Array> {
  return Object.fromEntries(declared.map(({ name, shape }) => [name, np.zeros([...shape])]));
}

function disposeAll(...groups: readonly Arrays[]): void {
  for (const group of groups) for (const array of Object.values(group)) array.dispose();
}

function toArray(
  name: string,
  tensor: { readonly data: ArrayLike<number> } | undefined,
  shape: readonly number[],
): np.Array {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (tensor?.data.length === size) {
    return np.array(Float32Array.from(tensor.data), { shape: [...shape] });
  }
  throw new ShapeError(
    "snapshot-shape",
    `Cannot restore '${name}' as it must hold ${size} numbers: ${tensor?.data.length ?? "none"}. ` +
      "Use a snapshot of the same model",
  );
}
