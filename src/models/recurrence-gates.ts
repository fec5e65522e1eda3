/**
 * @file What a recurrence reads beside queries, keys and values inside a model: decays, strengths and bonuses, made from the
 * rows of its layer or learned as they are. Decays are logarithms, which do not round to 0 or 1. Initial values are those of the
 * papers' models, of which RWKV's depend on the channel alone here and not on the layer.
 */
import { numpy as np } from "@jax-js/jax";
import { random } from "../base/random.ts";
import { type Tensor, tensor } from "../base/tensor.ts";
import { sigmoid } from "../nn/feed-forward.ts";
import { splitHeads } from "../nn/heads.ts";
import { normalWeights, weightDeviation } from "../nn/initialisation.ts";
import { linear } from "../nn/linear.ts";
import { type InputName, type RecurrentRule } from "../recurrence/index.ts";
import { type ModelArrays } from "./model.ts";

/** The extents that gates depend on. */
export interface GateSizes {
  /** H */
  readonly heads: number;
  /** G, of keys and of what goes with them. */
  readonly keyHeads: number;
  /** D */
  readonly headWidth: number;
  /** Width of the layer's rows. */
  readonly width: number;
}

/** One tensor of a gate; its name in the model has the layer's prefix before it. */
export interface GateParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly decays: boolean;
  /** @param name - the full one, whose stream the numbers come from */
  readonly initial: (seed: number, name: string) => Tensor;
}

/** One input of a rule, made in a stage from its parameters alone. */
export interface FixedGate {
  readonly input: InputName;
  readonly parameters: readonly GateParameter[];
  readonly readsRows: false;
  /** @param arrays - its parameters by their names here; consumed */
  readonly value: (arrays: ModelArrays) => np.Array;
}

/** One input of a rule, made in a stage from the layer's rows. */
export interface RowGate extends Omit<FixedGate, "readsRows" | "value"> {
  readonly readsRows: true;
  /**
   * @param arrays - its parameters by their names here; consumed
   * @param rows - [B·N, width]; consumed
   * @param batch - B
   */
  readonly value: (arrays: ModelArrays, rows: np.Array, batch: number) => np.Array;
}

export type Gate = FixedGate | RowGate;

/** Numbers between the rows and a gate of channels, as many as GLA has. */
const rank = 16;
/** What GLA takes the root of: α = σ(·)^{1/16}. */
const root = 16;
/** RWKV-7's decays are at least exp(−e^{−½}) = 0.545. */
const strongest = Math.exp(-0.5);

/** The gates of a rule, in the order of its inputs; nothing for rules of queries, keys and values alone. */
export function gatesOf(rule: RecurrentRule, sizes: GateSizes): readonly Gate[] {
  return gatesByRule[rule.name]?.(sizes) ?? [];
}

const gatesByRule: Readonly<Record<string, (sizes: GateSizes) => readonly Gate[]>> = {
  gla: (sizes) => [
    channels("logDecay", sizes, {
      inner: (x) => x,
      first: () => 0,
      // log σ(x)/16 = −softplus(−x)/16.
      outer: (x) => softplus(x.neg()).mul(-1 / root),
    }),
  ],
  deltanet: (sizes) => [strength(sizes)],
  "gated-deltanet": (sizes) => [mambaDecay(sizes), strength(sizes)],
  rwkv4: (sizes) => [fixedDecay(sizes, (share) => -5 + 8 * share ** 0.7), bonus(sizes, () => Math.log(0.3))],
  rwkv5: (sizes) => [
    fixedDecay(sizes, (share) => -6 + 5 * share ** 0.7),
    bonus(sizes, (share) => (1 - share) / 2),
  ],
  rwkv6: (sizes) => [
    channels("logDecay", sizes, {
      inner: np.tanh,
      first: (share) => -6 + 5 * share ** 0.7,
      outer: (x) => negativeExp(x),
    }),
    bonus(sizes, (share) => (1 - share) / 2),
  ],
  rwkv7: (sizes) => [
    channels("logDecay", sizes, {
      inner: np.tanh,
      first: (share) => -5.5 + 6 * share,
      outer: (x) => sigmoid(x).mul(-strongest),
    }),
    channels("a", sizes, { inner: (x) => x, first: () => 0, outer: sigmoid }),
    replacement(sizes),
  ],
};

/** outer(first + inner(x·W₁)·W₂) for each channel of the keys and token, [B, G, N, D]. */
function channels(
  input: "logDecay" | "a",
  { keyHeads, headWidth, width }: GateSizes,
  {
    inner,
    first,
    outer,
  }: {
    readonly inner: (x: np.Array) => np.Array;
    readonly first: (share: number) => number;
    readonly outer: (x: np.Array) => np.Array;
  },
): Gate {
  const count = keyHeads * headWidth;
  const name = input === "a" ? "rate" : "decay";
  const [down, up, bias] = [`${name}_down.weight`, `${name}_up.weight`, `${name}.bias`];
  return {
    input,
    parameters: [
      weight(down, [rank, width], weightDeviation(width)),
      weight(up, [count, rank], rank ** -0.5 / 2),
      filled(bias, [count], (place) => first(shareOf(place, count))),
    ],
    readsRows: true,
    value: (arrays, rows, batch) => {
      const narrowed = inner(linear(rows, arrays[down]));
      return splitHeads(outer(linear(narrowed, arrays[up], arrays[bias])), batch, keyHeads);
    },
  };
}

/** β = σ(x·W) for each head and token, [B, G, N] (Yang et al. 2024, DeltaNet). */
function strength(sizes: GateSizes): Gate {
  const name = "beta_proj.weight";
  return {
    input: "beta",
    parameters: [weight(name, [sizes.keyHeads, sizes.width], weightDeviation(sizes.width))],
    readsRows: true,
    value: (arrays, rows, batch) => headNumbers(sigmoid(linear(rows, arrays[name])), batch),
  };
}

/**
 * log α = −e^A·softplus(x·W + b) for each head and token, with e^A uniform in (1, 16) and softplus(b) from 0.001 to 0.1 on a
 * logarithmic scale before training (Dao & Gu 2024, Mamba-2; Yang et al. 2025, Gated DeltaNet).
 */
function mambaDecay({ keyHeads, width }: GateSizes): Gate {
  const [projection, bias, rate] = ["decay_proj.weight", "decay.bias", "log_rate"];
  const drawn = (name: string, change: (uniform: number) => number): GateParameter => ({
    name,
    shape: [keyHeads],
    decays: false,
    initial: (seed, full) => {
      const stream = random(seed, "init", full);
      return tensor(
        Float32Array.from({ length: keyHeads }, () => change(stream.uniform())),
        [keyHeads],
      );
    },
  });
  return {
    input: "logDecay",
    parameters: [
      weight(projection, [keyHeads, width], weightDeviation(width)),
      drawn(bias, (uniform) => Math.log(Math.expm1(0.001 * 100 ** uniform))),
      drawn(rate, (uniform) => Math.log(1 + 15 * uniform)),
    ],
    readsRows: true,
    value: (arrays, rows, batch) => {
      const steps = softplus(linear(rows, arrays[projection], arrays[bias]));
      return headNumbers(steps.mul(np.exp(arrays[rate])).neg(), batch);
    },
  };
}

/** log w = −e^ω of each channel, learned, [H, D] (Peng et al. 2023 and 2024). */
function fixedDecay({ heads, headWidth }: GateSizes, first: (share: number) => number): Gate {
  const name = "decay.bias";
  const shape = [heads, headWidth];
  return {
    input: "logDecay",
    parameters: [filled(name, shape, (place) => first(shareOf(place, heads * headWidth)))],
    readsRows: false,
    value: (arrays) => negativeExp(arrays[name]),
  };
}

/** u, learned, [H, D]; neighbours begin apart. */
function bonus({ heads, headWidth }: GateSizes, first: (share: number) => number): Gate {
  const count = heads * headWidth;
  const parameter = filled(
    "bonus",
    [heads, headWidth],
    (place) => first(shareOf(place, count)) + 0.1 * (((place + 1) % 3) - 1),
  );
  return { input: "u", parameters: [parameter], readsRows: false, value: (arrays) => arrays["bonus"] };
}

/** k_a, learned, [G, D]; 1 before training. */
function replacement({ keyHeads, headWidth }: GateSizes): Gate {
  const parameter = filled("replacement", [keyHeads, headWidth], () => 1);
  return { input: "ka", parameters: [parameter], readsRows: false, value: (arrays) => arrays["replacement"] };
}

/** Where a channel stands among all, from 0 to 1. */
function shareOf(place: number, count: number): number {
  return count === 1 ? 0 : place / (count - 1);
}

function weight(name: string, shape: readonly [number, number], deviation: number): GateParameter {
  return { name, shape, decays: true, initial: (seed, full) => normalWeights(seed, full, shape, deviation) };
}

function filled(name: string, shape: readonly number[], value: (place: number) => number): GateParameter {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return {
    name,
    shape,
    decays: false,
    initial: () =>
      tensor(
        Float32Array.from({ length: count }, (_, place) => value(place)),
        shape,
      ),
  };
}

/** [B·N, G] to [B, G, N]. */
function headNumbers(rows: np.Array, batch: number): np.Array {
  const [count, heads] = rows.shape;
  return splitHeads(rows, batch, heads).reshape([batch, heads, count / batch]);
}

/** Beyond it e^x of a decay is no number to count with: the state is gone at once. */
const largestExponent = 80;

/** log(1 + e^x) without overflow. */
function softplus(x: np.Array): np.Array {
  const tail = np.log(np.exp(np.absolute(x.ref).neg()).add(1));
  return np.maximum(x, 0).add(tail);
}

function negativeExp(x: np.Array): np.Array {
  return np.exp(np.minimum(x, largestExponent)).neg();
}
