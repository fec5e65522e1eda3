/**
 * @file Calls for as long as `QKLAB_MEMORY_MINUTES` says (default 3; 120 is the promise): after every attention has been
 * called at its largest, neither the arena nor the process grows any more.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { random } from "../../src/index.ts";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { legalSelectors } from "./legal-selectors.ts";
import { call, callAll, largest, widths } from "./memory-calls.ts";

const minutes = Number(process.env["QKLAB_MEMORY_MINUTES"] ?? 3);
const timeMs = minutes * 60_000;
/** Warming up takes minutes of its own on a slow machine. */
const warmUpMs = 900_000;

/** What compilers and collectors keep of their own beside the heap: optimised code, pages not yet given back. */
const processMarginBytes = 48 * 2 ** 20;
/** Objects of JavaScript after a collection: a leak of a hundred bytes a call is more after some minutes. */
const heapMarginBytes = 4 * 2 ** 20;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function memory(): { readonly heapBytes: number; readonly processBytes: number } {
  collect();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { heapBytes: heapUsed + arrayBuffers, processBytes: rss };
}

test(
  `${minutes} minutes of calls do not grow memory`,
  () => {
    const engine = nodeEngine({ threads: 2 });
    try {
      for (let pass = 0; pass < 2; pass++) callAll(engine, legalSelectors);
      const { sizeBytes } = engine.arena;
      const before = memory();
      const stream = random("two hours");
      const upTo = (most: number): number => 1 + stream.integer(most);
      const end = performance.now() + timeMs;
      let calls = 0;
      for (; performance.now() < end; calls++) {
        const keyHeads = upTo(largest.keyHeads);
        const queries = upTo(largest.queries);
        call(engine, legalSelectors[stream.integer(legalSelectors.length)], {
          ...widths[stream.integer(widths.length)],
          batch: upTo(largest.batch),
          heads: keyHeads * upTo(largest.heads / largest.keyHeads),
          keyHeads,
          queries,
          keys: queries + stream.integer(largest.keys - queries + 1),
        });
      }
      const after = memory();
      const grown = {
        calls,
        heapBytes: after.heapBytes - before.heapBytes,
        processBytes: after.processBytes - before.processBytes,
      };
      process.stderr.write(`memory: ${JSON.stringify(grown)}\n`);
      expect(calls).toBeGreaterThan(0);
      expect(engine.arena.sizeBytes).toBe(sizeBytes);
      expect(grown.heapBytes).toBeLessThan(heapMarginBytes);
      expect(grown.processBytes).toBeLessThan(processMarginBytes);
    } finally {
      engine.close();
    }
  },
  timeMs + warmUpMs,
);
