/** @file Ten thousand random attentions and shapes on the WebAssembly kernels: ten minutes of one core, more on a busy machine. */
import { test } from "vitest";
import { checkRandomCalls } from "./wasm-random.ts";

/** Only a hang takes so long. */
const longestMs = 5_400_000;

test(
  "ten thousand random attentions on random calls give what the reference gives",
  async () => {
    await checkRandomCalls(3, 10_000);
  },
  longestMs,
);
