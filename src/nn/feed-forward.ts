/** @file Feed-forward blocks: SwiGLU (Shazeer 2020) as in Llama, GELU (Hendrycks & Gimpel 2016) as in GPT-2 and in BERT, and ReLU. */
import { lax, numpy as np } from "@jax-js/jax";
import { linear } from "./linear.ts";

/** Weights of a feed-forward, and its biases where it has them. */
export interface FeedForwardWeights {
  /** [hidden, width] */
  readonly up: np.Array;
  /** [width, hidden] */
  readonly down: np.Array;
  /** [hidden] */
  readonly upBias?: np.Array | undefined;
  /** [width] */
  readonly downBias?: np.Array | undefined;
}

/**
 * down(silu(gate x) ⊙ up x), silu(h) = h·σ(h).
 *
 * @param x - [..., width]; consumed
 * @param weights - gate [hidden, width] and its bias [hidden] beside the others; consumed
 */
export function swiglu(
  x: np.Array,
  weights: FeedForwardWeights & { readonly gate: np.Array; readonly gateBias?: np.Array | undefined },
): np.Array {
  const gate = linear(x.ref, weights.gate, weights.gateBias);
  return linear(gated(gate, linear(x, weights.up, weights.upBias)), weights.down, weights.downBias);
}

/**
 * silu(gate) ⊙ up, silu(h) = h·σ(h).
 *
 * @param gate - consumed, as `up` is
 */
export function gated(gate: np.Array, up: np.Array): np.Array {
  return gate.ref.mul(sigmoid(gate)).mul(up);
}

/** Functions of one number between two products; each consumes what it is given. */
export const activations: Readonly<Record<"gelu" | "gelu-exact" | "relu", (h: np.Array) => np.Array>> = {
  gelu,
  "gelu-exact": exactGelu,
  relu: (h) => np.maximum(h, 0),
};

/**
 * down(f(up x)).
 *
 * @param x - [..., width]; consumed
 * @param weights - consumed
 * @param activation - f
 */
export function activatedFeedForward(
  x: np.Array,
  { up, upBias, down, downBias }: FeedForwardWeights,
  activation: keyof typeof activations,
): np.Array {
  return linear(activations[activation](linear(x, up, upBias)), down, downBias);
}

/**
 * GPT-2's approximation gelu(h) = h·(1 + tanh u)/2 = h·σ(2u), u = √(2/π)·(h + 0.044715 h³).
 *
 * @param h - consumed
 */
export function gelu(h: np.Array): np.Array {
  const linearPart = 2 * Math.sqrt(2 / Math.PI);
  const twice = h.ref.mul(
    np
      .square(h.ref)
      .mul(linearPart * 0.044715)
      .add(linearPart),
  );
  return h.mul(sigmoid(twice));
}

/**
 * h·Φ(h) = h·(1 + erf(h/√2))/2.
 *
 * @param h - consumed
 */
function exactGelu(h: np.Array): np.Array {
  const doubled = lax.erf(h.ref.mul(Math.SQRT1_2)).add(1);
  return h.mul(doubled).mul(0.5);
}

/** Where e^h is still finite in f32 and σ(−h) is already below every normal number's resolution. */
const largestExponent = 80;

/** σ(h) = 1/(1 + e^−h); half the time of jax-js's own, which is a function of its own to its compiler. */
export function sigmoid(h: np.Array): np.Array {
  return np.reciprocal(np.exp(np.minimum(h.neg(), largestExponent)).add(1));
}
