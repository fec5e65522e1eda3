/**
 * @file The memory of decoding: a hundred tokens, and decodings that come and go, must not make the WebAssembly memories of jax-js and
 * of the engine grow, which only happens when something is not freed. The memories are caught when they are made.
 */
import { expect, test } from "vitest";
import { memoryBytes, memoryCount } from "../../test/watched-memory.ts";

test("what does not grow stays as it was, and what was disposed is there again", async () => {
  const { startJax } = await import("../kernels/jax/start.ts");
  await startJax();
  const { WasmEngine } = await import("../kernels/wasm/index.ts");
  const { decoder } = await import("./decoder.ts");
  const { withArrays } = await import("./decoder-fixtures.ts");
  const { livelyTensors } = await import("./model-fixtures.ts");
  const engine = new WasmEngine();
  const model = decoder(
    {
      vocabulary: 64,
      width: 64,
      layers: 4,
      heads: 2,
      residual: "reversible",
      convolution: 2,
      attention: [
        "rwkv7",
        "dot+rope+causal+window:w=8",
        "performer:features=8",
        "dot+causal+moba:block=2,k=1",
      ],
      maximumLength: 200,
    },
    { engine },
  );
  const { mark } = engine.arena;
  await withArrays(livelyTensors(model, 1), async (arrays) => {
    // An array of a step is of a kilobyte: those that one leaves behind in 80 steps fill more than a page of 64 KiB.
    const decode = async (prompts: number, steps: number): Promise<void> => {
      const decoding = model.decode(arrays, { batch: 4 });
      for (let prompt = 0; prompt < prompts; prompt++) await decoding.take(new Int32Array(4 * 3));
      for (let step = 0; step < steps; step++) await decoding.step(new Int32Array(4));
      decoding.dispose();
    };
    await decode(2, 10);
    await decode(2, 10);
    // That of jax-js and that of the engine.
    expect(memoryCount()).toBe(2);
    const before = memoryBytes();
    await decode(4, 80);
    expect([memoryBytes(), engine.arena.mark]).toEqual([before, mark]);
    expect(Object.values(arrays).every(({ refCount }) => refCount === 1)).toBe(true);
  });
  model.dispose();
});
