/** @file The composition on jax-js under the contract. */
import { beforeAll } from "vitest";
import { guards } from "../../src/index.ts";
import { jaxBackend, startJax } from "../../src/kernels/jax/index.ts";
import { attentionContract } from "./attention-contract.ts";
import { oneSelectorEach } from "./legal-selectors.ts";

beforeAll(() => startJax());

/**
 * Rounding is 2^-24 = 6e-8. A score sums up to 128 products and an output up to 100 weights: some 150 roundings, 1e-5;
 * gradients sum products of such numbers over as many pairs.
 */
const TOLERANCES = { forward: 1e-5, gradient: 1e-4 };

attentionContract(jaxBackend, {
  tolerances: TOLERANCES,
  guard: guards.f32,
  selectors: oneSelectorEach,
  relaxations: [
    {
      selectors: /centroid/,
      laws: /at sizes/,
      tolerances: { forward: 1e-4, gradient: 2e-3 },
      reason:
        "values of norm √128 lose two digits in the Minkowski length √(M₀² − ‖M‖²), twice in its gradient",
    },
  ],
});
