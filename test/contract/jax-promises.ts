/** @file What the composition on jax-js promises under the contract. */
import { guards } from "../../src/index.ts";
import { type ContractOptions } from "./attention-contract.ts";

/**
 * One unit of float32 is 2^-24 = 6e-8. A score is a sum of D ≤ 128 products, whose roundings add up to about √128 = 11
 * units; exponentials and sums of S ≤ 100 weights add as many again: 2e-6. Hyperbolic sines at radii up to 10 multiply that
 * by as much.
 */
const FORWARD = 2e-5;

/** Gradients are products of such numbers, and differences of them where weights compete: ten times as much. */
const GRADIENT = 2e-4;

export const jaxPromises: Pick<ContractOptions, "tolerances" | "guard" | "relaxations"> = {
  tolerances: { forward: FORWARD, gradient: GRADIENT },
  guard: guards.f32,
  relaxations: [
    {
      selectors: /^product:.*poincare/,
      laws: /are those of the f64 reference$/,
      tolerances: { forward: 1e-4, gradient: 5e-4 },
      reason:
        "points of two coordinates come near each other: their distance is the root of a difference of squares, which is rounded",
    },
    {
      selectors: /\+sigmoid:bias=learned\+centroid/,
      laws: /are those of the f64 reference$/,
      tolerances: { forward: FORWARD, gradient: 5e-4 },
      reason:
        "the scale of the weights cancels in a centroid, so the gradient of a bias is a sum of terms that nearly cancel",
    },
    {
      selectors: /\+centroid/,
      laws: /sizes that no tile divides/,
      tolerances: { forward: FORWARD, gradient: 2e-2 },
      reason:
        "a lone key's centroid is the key whatever its weight: in float32 that zero is a difference of terms as large as ‖v‖² ≈ E",
    },
    {
      selectors: /^cosine/,
      laws: /sizes that no tile divides/,
      tolerances: { forward: FORWARD, gradient: 2e-2 },
      reason:
        "the cosine of numbers (D = 1) is their sign: its zero slope is a difference of terms as large as 1/‖q‖",
    },
  ],
};
