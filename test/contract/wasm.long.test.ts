/** @file Ten thousand random attentions and shapes on the WebAssembly kernels. */
import { test } from "vitest";
import { checkRandomCalls } from "./wasm-random.ts";

test("ten thousand random attentions on random calls give what the reference gives", async () => {
  await checkRandomCalls(3, 10_000);
});
