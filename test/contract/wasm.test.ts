/** @file The WebAssembly kernels under the contract: one thread with plain SIMD, two threads with relaxed SIMD, poisoned memory. */
import { afterAll } from "vitest";
import { type AttentionBackend, guards } from "../../src/index.ts";
import { nodeEngine } from "../../src/kernels/wasm/pool.node.ts";
import { wasmBackend } from "../../src/kernels/wasm/wasm-backend.ts";
import { type WasmEngine } from "../../src/kernels/wasm/engine.ts";
import { attentionContract, type Relaxation } from "./attention-contract.ts";
import { legalSelectors, oneSelectorEach } from "./legal-selectors.ts";

/** As jax's: rounding is 2^-24, some 150 roundings a number; sums over all pairs of a head for a parameter. */
const TOLERANCES = { forward: 1e-5, gradient: 5e-4 };

/** In two coordinates points of a row are nearly collinear, and sinh ρ·sinh ρ' multiplies the rounding of their angle. */
const relaxations: readonly Relaxation[] = [
  {
    selectors: /poincare\(/,
    laws: /f64 reference/,
    tolerances: { forward: 1e-4, gradient: 1e-3 },
    reason: "angles of far hyperbolic points in blocks of two coordinates",
  },
];

/** Every call begins on memory full of NaN. */
function poisoned(engine: WasmEngine): AttentionBackend {
  const backend = wasmBackend(engine);
  return {
    name: `wasm, ${engine.threads} thread(s), ${engine.relaxed ? "relaxed" : "plain"} SIMD`,
    forward(...call) {
      engine.arena.poison();
      return backend.forward(...call);
    },
    backward(...call) {
      engine.arena.poison();
      return backend.backward(...call);
    },
  };
}

/** Threads and relaxed SIMD change how numbers are made, not what a part means: one selector of every similarity shows it. */
const cases = [
  { engine: nodeEngine({ threads: 1, relaxed: false }), selectors: legalSelectors },
  { engine: nodeEngine({ threads: 2 }), selectors: oneSelectorEach },
];
afterAll(() => {
  for (const { engine } of cases) engine.close();
});

for (const { engine, selectors } of cases) {
  attentionContract(poisoned(engine), {
    tolerances: TOLERANCES,
    guard: guards.f32,
    relaxations,
    selectors,
    sampledSizes: 8,
  });
}
