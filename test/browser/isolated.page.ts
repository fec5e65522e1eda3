/** @file The fused kernels in a page that may share memory: two threads, the contract of attention and that of workers. */
import { afterAll, describe, expect, test } from "vitest";
import { fusedBackward, fusedForward } from "../../src/kernels/wasm/attention/fused-attention.ts";
import { startWebWorker } from "../../src/kernels/wasm/engine/web-workers.ts";
import { openEngine, WasmEngine } from "../../src/wasm.ts";
import { attentionContract } from "../contract/attention-contract.ts";
import { oneSelectorEach, read } from "../contract/legal-selectors.ts";
import { poolContract } from "../contract/pool-contract.ts";
import { makeProblem } from "../contract/problem.ts";
import { poisoned, wasmPromises } from "../contract/wasm-promises.ts";

const engine = await openEngine({ threads: 2 });
const single = new WasmEngine({ relaxed: engine.relaxed });
afterAll(() => engine.close());

test("the page is isolated, and the engine has the two threads that it was asked for", () => {
  expect(globalThis.crossOriginIsolated).toBe(true);
  expect(engine.threads).toBe(2);
  expect(engine.shared).toBe(true);
  expect(engine.limitation).toBeUndefined();
});

/** More row tiles and key tiles than threads, the last of each not full. */
const sizes = { batch: 1, heads: 2, keyHeads: 1, queries: 150, keys: 203, width: 8, valueWidth: 12 };

test.each(oneSelectorEach)("two threads change no bit of %s", (selector) => {
  const { composition, inputs, dOut } = makeProblem(read(selector), sizes, "threads", selector);
  const [expected, actual] = [single, engine].map((engine) => {
    engine.arena.poison();
    const { out, state } = fusedForward(engine, composition, inputs);
    const { dq, dk, dv, dParameters } = fusedBackward(engine, composition, inputs, dOut, { state });
    return [out, dq, dk, dv, ...Object.values(dParameters)].map(({ data }) => data);
  });
  expect(actual).toEqual(expected);
});

describe("Web Workers", () => {
  poolContract(() => startWebWorker);
});

attentionContract(poisoned(engine), {
  ...wasmPromises,
  selectors: oneSelectorEach,
  sampledSizes: 8,
});
