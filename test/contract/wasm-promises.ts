/** @file What the WebAssembly kernels promise, in Node and in browsers: how exact they are, on memory full of NaN. */
import { type AttentionBackend, guards } from "../../src/index.ts";
import { type WasmEngine } from "../../src/kernels/wasm/engine/engine.ts";
import { wasmBackend } from "../../src/kernels/wasm/attention/wasm-backend.ts";
import { type ContractOptions } from "./attention-contract.ts";

export const wasmPromises: Required<Pick<ContractOptions, "tolerances" | "guard" | "relaxations">> = {
  // As jax's: rounding is 2^-24, some 150 roundings a number; sums over all pairs of a head for a parameter.
  tolerances: { forward: 1e-5, gradient: 5e-4 },
  guard: guards.f32,
  // In two coordinates points of a row are nearly collinear, and sinh ρ·sinh ρ' multiplies the rounding of their angle.
  relaxations: [
    {
      selectors: /poincare\(/,
      laws: /f64 reference/,
      tolerances: { forward: 1e-4, gradient: 1e-3 },
      reason: "angles of far hyperbolic points in blocks of two coordinates",
    },
    {
      selectors: /\+(lsh|moba):.*\+centroid/,
      laws: /sizes that no tile divides/,
      tolerances: { forward: 1e-5, gradient: 5e-3 },
      reason:
        "a lone key's centroid is the key whatever its weight: in float32 that zero is a difference of terms as large as ‖v‖² ≈ E",
    },
  ],
};

/** Every call begins on memory full of NaN. */
export function poisoned(engine: WasmEngine): AttentionBackend {
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
