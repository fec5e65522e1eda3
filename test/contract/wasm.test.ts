/** @file The WebAssembly kernels under the contract: one thread with plain SIMD, two threads with relaxed SIMD, poisoned memory. */
import { afterAll } from "vitest";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { attentionContract } from "./attention-contract.ts";
import { legalSelectors, oneSelectorEach } from "./legal-selectors.ts";
import { poisoned, wasmPromises } from "./wasm-promises.ts";

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
    ...wasmPromises,
    selectors,
    sampledSizes: 8,
  });
}
