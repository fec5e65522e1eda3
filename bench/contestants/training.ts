/**
 * @file A training step of the decoder as a contestant: on the fused kernels, or all of it in jax-js. The step is forward,
 * backward and AdamW; the loss of the first one is the fact by which the two are compared.
 */
import { startJax } from "../../src/kernels/jax/start.ts";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { serve } from "./serve.ts";

const [, , threads, which] = process.argv;
const engine = which === "own" ? nodeEngine({ threads: Number(threads) }) : undefined;
// Before anything that imports jax-js; beside an engine's threads those of jax-js gain nothing.
await startJax({ threads: engine === undefined ? Number(threads) : 1 });
const { prepareTraining } = await import("./training-step.ts");

await serve({
  describe: () => ({ versions: {}, threads: Number(threads), notes: [] }),
  prepare: async (problem) => {
    if (problem.kind !== "training")
      throw new Error(`it does not know problems of the kind '${problem.kind}'`);
    return prepareTraining(problem, engine);
  },
});
