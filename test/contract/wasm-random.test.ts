/** @file A few random calls on the WebAssembly kernels; `wasm.long.test.ts` makes ten thousand. */
import { test } from "vitest";
import { checkRandomCalls } from "./wasm-random.ts";

test("random attentions on random calls give what the reference gives", async () => {
  await checkRandomCalls(60, 60);
});
