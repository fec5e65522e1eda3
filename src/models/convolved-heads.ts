/**
 * @file The short convolution of a layer's queries, keys and values, which lets a head see the tokens before its own. It begins as
 * the token alone.
 */
import { type numpy as np } from "@jax-js/jax";
import { stage, type Tape, type Value } from "../autodiff/index.ts";
import { tensor, type Tensor } from "../base/tensor.ts";
import { shortConvolution } from "../nn/short-convolution.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";

/** Heads of a group that are convolved. */
export interface ConvolvedGroup {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly names: Readonly<Record<"q" | "k" | "v", string>>;
}

/** The convolutions of a layer. */
export interface ConvolvedHeads {
  readonly parameters: readonly ModelParameter[];
  /** Inside a stage: the weights, which are among what is projected. */
  weights(arrays: ModelArrays): Record<string, np.Array>;
  /**
   * On the tape: queries, keys and values of all groups in place of those that were projected, which are released.
   *
   * @param before - the tokens before, by the same names; nothing where there are none
   */
  run(
    tape: Tape,
    projected: Readonly<Record<string, Value>>,
    before?: Readonly<Record<string, Value>>,
  ): Promise<Readonly<Record<string, Value>>>;
  /** Names of all that is convolved. */
  readonly convolved: readonly string[];
  /** Tokens before its own that a head sees. */
  readonly reach: number;
  dispose(): void;
}

const weightOf = (name: string): string => `conv.${name}`;
const beforeOf = (name: string): string => `before.${name}`;

/**
 * Makes the convolutions of a layer.
 *
 * @param groups - with the prefix of each one's parameters
 * @param taps - tokens that a head sees, its own among them
 */
export function convolvedHeads(
  groups: readonly (ConvolvedGroup & { readonly prefix: string })[],
  taps: number,
  { headWidth, valueWidth }: { readonly headWidth: number; readonly valueWidth: number },
): ConvolvedHeads {
  const sides = groups.flatMap(({ names, heads, keyValueHeads, prefix }) => [
    { name: names.q, held: `${prefix}.q_conv.weight`, shape: [heads, taps, headWidth] },
    { name: names.k, held: `${prefix}.k_conv.weight`, shape: [keyValueHeads, taps, headWidth] },
    { name: names.v, held: `${prefix}.v_conv.weight`, shape: [keyValueHeads, taps, valueWidth] },
  ]);
  const operation = stage("short convolution", (arrays: ModelArrays) =>
    Object.fromEntries(
      sides.map(({ name }) => [
        name,
        shortConvolution(
          arrays[name],
          arrays[weightOf(name)],
          arrays[beforeOf(name)] as np.Array | undefined,
        ),
      ]),
    ),
  );
  return {
    parameters: sides.map(({ held, shape }) => ({
      name: held,
      shape,
      decays: false,
      initial: () => firstTaps(shape, taps),
    })),
    weights: (arrays) => Object.fromEntries(sides.map(({ name, held }) => [weightOf(name), arrays[held]])),
    async run(tape, projected, before = {}) {
      const read = sides.flatMap(({ name }) => [name, weightOf(name)]);
      const earlier = Object.entries(before).map(([name, value]) => [beforeOf(name), value]);
      const inputs = Object.fromEntries([
        ...read.map((name) => [name, projected[name]]),
        ...earlier,
      ]) as Record<string, Value>;
      const made = await tape.run(operation, inputs);
      tape.release(...Object.values(inputs));
      const others = Object.entries(projected).filter(([name]) => !read.includes(name));
      return { ...Object.fromEntries(others), ...made };
    },
    convolved: sides.map(({ name }) => name),
    reach: taps - 1,
    dispose: () => operation.dispose(),
  };
}

/** 1 for the token itself, 0 for those before it. */
function firstTaps(shape: readonly number[], taps: number): Tensor {
  const width = shape[2];
  const count = shape.reduce((product, extent) => product * extent, 1);
  const isOwn = (place: number): boolean => Math.floor(place / width) % taps === taps - 1;
  return tensor(
    Float32Array.from({ length: count }, (_, place) => (isOwn(place) ? 1 : 0)),
    shape,
  );
}
