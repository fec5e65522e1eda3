/** @file Feed-forward blocks: SwiGLU (Shazeer 2020) as in Llama, and GELU (Hendrycks & Gimpel 2016) as in GPT-2. */
import { numpy as np } from "@jax-js/jax";
import { linear } from "./linear.ts";

/**
 * down(silu(gate x) ⊙ up x), silu(h) = h·σ(h).
 *
 * @param x - [..., width]; consumed
 * @param weights - gate and up [hidden, width], down [width, hidden]
 */
export function swiglu(
  x: np.Array,
  weights: { readonly gate: np.Array; readonly up: np.Array; readonly down: np.Array },
): np.Array {
  return linear(gated(linear(x.ref, weights.gate), linear(x, weights.up)), weights.down);
}

/**
 * silu(gate) ⊙ up, silu(h) = h·σ(h).
 *
 * @param gate - consumed, as `up` is
 */
export function gated(gate: np.Array, up: np.Array): np.Array {
  return gate.ref.mul(sigmoid(gate)).mul(up);
}

/**
 * down(gelu(up x)), with GPT-2's approximation gelu(h) = h·(1 + tanh u)/2 = h·σ(2u), u = √(2/π)·(h + 0.044715 h³).
 *
 * @param x - [..., width]; consumed
 * @param weights - up [hidden, width], down [width, hidden]
 */
export function geluFeedForward(
  x: np.Array,
  weights: { readonly up: np.Array; readonly down: np.Array },
): np.Array {
  return linear(gelu(linear(x, weights.up)), weights.down);
}

/**
 * h·σ(2u), u = √(2/π)·(h + 0.044715 h³).
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

/** Where e^h is still finite in f32 and σ(−h) is already below every normal number's resolution. */
const largestExponent = 80;

/** σ(h) = 1/(1 + e^−h); half the time of jax-js's own, which is a function of its own to its compiler. */
export function sigmoid(h: np.Array): np.Array {
  return np.reciprocal(np.exp(np.minimum(h.neg(), largestExponent)).add(1));
}
