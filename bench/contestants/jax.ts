/**
 * @file jax-js as a contestant: its own dotProductAttention, the project's composition of jax-js operations, and a
 * recurrence by cumulative sums, all compiled once, with arrays that stay where they are between runs.
 */
import { startJax } from "../../src/kernels/jax/start.ts";
import { requireAttention, serve } from "./serve.ts";

// Before anything that imports jax-js.
await startJax({ threads: Number(process.argv[2]) });
const { prepareJax } = await import("./jax-attention.ts");
const { prepareCumulativeSum } = await import("./jax-recurrence.ts");
const [, , threads, which] = process.argv;

await serve({
  describe: () => ({ versions: {}, threads: Number(threads), notes: [] }),
  prepare: async (problem, inputs) =>
    which === "recurrence"
      ? prepareCumulativeSum(problem, inputs)
      : prepareJax(
          which === "composition" ? "composition" : "dotProductAttention",
          requireAttention(problem),
          inputs,
        ),
});
