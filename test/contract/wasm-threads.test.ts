/** @file Results of the WebAssembly kernels do not depend on the number of threads: not in one bit, forward or backward. */
import { afterAll, describe, expect, test } from "vitest";
import { type WasmEngine } from "../../src/kernels/wasm/engine/engine.ts";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { type AttentionSizes } from "../../src/index.ts";
import { benchOf, namedGradients, neededExtras } from "./law.ts";
import { oneSelectorEach, read } from "./legal-selectors.ts";
import { makeProblem, type Problem } from "./problem.ts";
import { poisoned, wasmPromises } from "./wasm-promises.ts";

const engines = [1, 2, 3].map((threads) => sharingAll(nodeEngine({ threads })));
afterAll(() => {
  for (const engine of engines) engine.close();
});

/** An engine that gives every phase to all its threads, also one that would be over before they woke. */
function sharingAll(engine: WasmEngine): WasmEngine {
  const run = engine.run.bind(engine);
  engine.run = (phase) => run({ ...phase, isSmall: false });
  return engine;
}

/** Heads that share keys, and several tiles of rows and keys whose last ones are not full, so that threads share sums. */
const manyTiles: AttentionSizes = {
  batch: 1,
  heads: 2,
  keyHeads: 1,
  queries: 67,
  keys: 131,
  width: 8,
  valueWidth: 5,
};
/** More heads than threads, one tile each. */
const manyHeads: AttentionSizes = { ...manyTiles, batch: 2, heads: 6, keyHeads: 2, queries: 9, keys: 11 };

/** The numbers of everything that a call returns, by name. */
async function numbersOf(engine: WasmEngine, problem: Problem): Promise<Record<string, Float32Array>> {
  const { tolerances, guard } = wasmPromises;
  const bench = benchOf(poisoned(engine), tolerances, guard);
  const result = await bench.forward(problem, ["scores", "weights", ...neededExtras(problem.composition)]);
  const gradients = namedGradients(await bench.backward(problem, result));
  return Object.fromEntries(
    [...Object.entries(result), ...gradients].map(([name, { data }]) => [name, data]),
  );
}

describe.each([
  ["several tiles", manyTiles],
  ["several heads", manyHeads],
])("of %s", (_, sizes) => {
  test.each(oneSelectorEach)("two and three threads give the bits of one: %s", async (selector) => {
    const problem = makeProblem(read(selector), sizes, "threads", selector);
    const [expected, ...others] = await Promise.all(engines.map((engine) => numbersOf(engine, problem)));
    expect(Object.keys(expected)).toEqual(
      expect.arrayContaining(["out", "scores", "dq", "dk", "dv", "dBias"]),
    );
    for (const other of others) expect(other).toEqual(expected);
  });
});
