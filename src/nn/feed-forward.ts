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
  const gate = linear(x.ref, weights.gate);
  const gated = gate.ref.mul(sigmoid(gate)).mul(linear(x, weights.up));
  return linear(gated, weights.down);
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
  const h = linear(x, weights.up);
  const linearPart = 2 * Math.sqrt(2 / Math.PI);
  const twice = h.ref.mul(
    np
      .square(h.ref)
      .mul(linearPart * 0.044715)
      .add(linearPart),
  );
  return linear(h.mul(sigmoid(twice)), weights.down);
}

/** Where e^h is still finite in f32 and σ(−h) is already below every normal number's resolution. */
const largestExponent = 80;

/** σ(h) = 1/(1 + e^−h); half the time of jax-js's own, which is a function of its own to its compiler. */
export function sigmoid(h: np.Array): np.Array {
  return np.reciprocal(np.exp(np.minimum(h.neg(), largestExponent)).add(1));
}
