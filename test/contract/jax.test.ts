/** @file The composition on jax-js under the contract. */
import { beforeAll } from "vitest";
import { guards } from "../../src/index.ts";
import { jaxBackend, startJax } from "../../src/kernels/jax/index.ts";
import { attentionContract } from "./attention-contract.ts";
import { oneSelectorEach } from "./legal-selectors.ts";

beforeAll(() => startJax());

/**
 * Rounding is 2^-24 = 6e-8. A score sums up to 128 products and an output up to 100 weights: some 150 roundings, 1e-5. The
 * gradient of a parameter sums over all pairs of a head; under a centroid, which does not see the size of a row's weights,
 * the parts of a row cancel to about their weight, a twentieth or less of each: 1e-5 · 20, and a margin.
 */
const TOLERANCES = { forward: 1e-5, gradient: 5e-4 };

attentionContract(jaxBackend, {
  tolerances: TOLERANCES,
  guard: guards.f32,
  selectors: oneSelectorEach,
});
