/** @file The fused kernels in a page that may not share memory: one thread, which says why, and the contract of attention. */
import { afterAll, expect, test } from "vitest";
import { openEngine } from "../../src/wasm.ts";
import { attentionContract } from "../contract/attention-contract.ts";
import { oneSelectorEach } from "../contract/legal-selectors.ts";
import { poisoned, wasmPromises } from "../contract/wasm-promises.ts";

const engine = await openEngine({ threads: 2 });
afterAll(() => engine.close());

test("the page is not isolated, and the engine has one thread and says why", () => {
  expect(globalThis.crossOriginIsolated).toBe(false);
  expect(engine.threads).toBe(1);
  expect(engine.shared).toBe(false);
  expect(engine.limitation).toMatch(/not cross-origin isolated.*Cross-Origin-Embedder-Policy/);
});

test("one thread that was asked for is no limitation", async () => {
  const asked = await openEngine({ threads: 1 });
  expect(asked.threads).toBe(1);
  expect(asked.limitation).toBeUndefined();
});

attentionContract(poisoned(engine), {
  ...wasmPromises,
  selectors: oneSelectorEach,
  sampledSizes: 8,
});
