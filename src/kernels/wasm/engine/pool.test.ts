/** @file The thread pool in Node: the contract of workers, and what only Node can notice. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { root } from "../../../../test/docs/blocks.ts";
import { endless, honest, openWorkshop, poolContract } from "../../../../test/contract/pool-contract.ts";
import { makeProblem } from "../../../../test/contract/problem.ts";
import { read } from "../../../../test/contract/legal-selectors.ts";
import { WasmEngine } from "./engine.ts";
import { kernelOf } from "../attention/compiled-kernel.ts";
import { fusedForward } from "../attention/fused-attention.ts";
import { openEngine } from "./open-engine.ts";
import { WorkerPool } from "./pool.ts";
import { nodeEngine, nodeWorkers } from "./pool.node.ts";

describe("workers of Node", () => {
  poolContract((memory) => nodeWorkers(memory).start);

  test.each([
    { silences: 0, when: "" },
    { silences: 2, when: ", and when phases before were silent too" },
  ])("the death of a worker in the middle of a task is noticed while everybody waits$when", async (of) => {
    let silence = (): void => {};
    const { pool, workers, phase, written, awaitWorker } = await openWorkshop((memory) => {
      const started = nodeWorkers(memory);
      silence = () => started.onSilence();
      return started;
    });
    for (let before = 0; before < of.silences; before++) silence();
    const cut = (): void => {
      awaitWorker();
      workers[0].end();
    };
    expect(() => phase(0, endless, cut)).toThrow(/a thread ended in the middle of a task/);
    phase(1, honest, () => {});
    expect(new Set(written()).size).toBe(1);
    await expect.poll(() => pool.limitation).toMatch(/a worker is gone \(it ended with code 1\)/);
  });
});

describe("an engine", () => {
  const sizes = { batch: 1, heads: 2, keyHeads: 2, queries: 130, keys: 150, width: 8, valueWidth: 8 };
  const { composition, inputs } = makeProblem(read("l2+causal"), sizes, "engine");

  test("says how many threads it has, and nothing where nothing is missing", async () => {
    for (const threads of [1, 2, 3]) {
      const engine = await openEngine({ threads });
      expect(engine.threads).toBe(threads);
      expect(engine.shared).toBe(threads > 1);
      expect(engine.limitation).toBeUndefined();
      engine.close();
    }
  });

  test("has as many threads as the machine has cores, unless it is told", async () => {
    const engine = await openEngine();
    const { threads } = nodeEngine();
    expect(engine.threads).toBe(threads);
    engine.close();
  });

  test.each([0, -1, 1.5, Number.NaN, 129])("refuses %d threads", async (threads) => {
    await expect(openEngine({ threads })).rejects.toThrow(/threads must be a whole number from 1 to 128/);
    expect(() => nodeEngine({ threads })).toThrow(/threads must be a whole number from 1 to 128/);
  });

  test("keeps no process alive", () => {
    const built = pathToFileURL(join(root, "dist/wasm.js")).href;
    const program = `const { openEngine } = await import("${built}"); console.log((await openEngine({ threads: 3 })).threads)`;
    const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
      encoding: "utf8",
      timeout: 30_000,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "3\n" });
  });

  test("computes the same when a worker has ended before a call", async () => {
    const single = new WasmEngine();
    const expected = fusedForward(single, composition, inputs).out.data;
    let pool: WorkerPool | undefined;
    let end = (): void => {};
    const engine = new WasmEngine({
      relaxed: single.relaxed,
      pool(memory) {
        const { start, workers } = nodeWorkers(memory);
        pool = new WorkerPool(memory, { threads: 2, start });
        end = () => void workers[0].terminate();
        return pool;
      },
    });
    await pool?.settle(30_000);
    expect(fusedForward(engine, composition, inputs).out.data).toEqual(expected);
    end();
    await expect.poll(() => engine.limitation).toMatch(/a worker is gone/);
    expect(fusedForward(engine, composition, inputs).out.data).toEqual(expected);
    engine.close();
  });

  test("shows every worker a kernel until it has it, though the memory has grown since the worker started", async () => {
    let pool: WorkerPool | undefined;
    const engine = new WasmEngine({
      pool: (memory) => (pool = new WorkerPool(memory, { threads: 3, ...nodeWorkers(memory) })),
    });
    await pool?.settle(30_000);
    const before = engine.arena.sizeBytes;
    // All places of the call, and the code, lie beyond what the workers have seen.
    const mark = engine.arena.mark;
    engine.arena.take(64 * before);
    const expected = fusedForward(new WasmEngine({ relaxed: engine.relaxed }), composition, inputs).out.data;
    const { number } = kernelOf(engine, composition, {
      width: sizes.width,
      valueWidth: sizes.valueWidth,
      hasBias: inputs.bias !== undefined,
      hasMask: inputs.mask !== undefined,
    });
    await expect
      .poll(() => {
        expect(fusedForward(engine, composition, inputs).out.data).toEqual(expected);
        return pool?.lacks(number);
      })
      .toBe(false);
    engine.arena.giveBack(mark);
    expect(fusedForward(engine, composition, inputs).out.data).toEqual(expected);
    expect(engine.arena.mark).toBe(mark);
    engine.close();
  });
});
