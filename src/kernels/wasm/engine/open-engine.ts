/** @file Engines anywhere: on the threads of Node, on Web Workers in a page that may share memory, else on one thread. */
import { WasmEngine } from "./engine.ts";
import { checkThreads, WorkerPool } from "./pool.ts";
import { mostThreads } from "./thread-control.ts";
import { startWebWorker } from "./web-workers.ts";

/** What an engine may be told. */
export interface OpenEngineOptions {
  /** Threads, the calling one among them; by default as many as the machine has cores. */
  readonly threads?: number;
  /** Multiply and add in one instruction; by default where the machine can. */
  readonly relaxed?: boolean;
}

/** Workers of a page that have not started after this do not come. */
const startPatienceMs = 10_000;

/**
 * Opens an engine for fused attention, in Node and in browsers. Several threads need shared memory, which a page has only
 * when it is cross-origin isolated; without it the engine has one thread. `engine.threads` says how many it has, and
 * `engine.limitation` why, when it has fewer than asked for.
 *
 * @returns an engine whose threads have started in a page, and are starting in Node; `close()` ends them
 * @throws DomainError `threads` unless threads is a whole number from 1 to 128
 *
 * @example
 * ```ts
 * import { attention, causal, l2, tensor } from "qklab";
 * import { openEngine, wasmBackend } from "qklab/wasm";
 * const engine = await openEngine({ threads: 2 });
 * const attend = attention({ similarity: l2(), pattern: causal() }, { backend: wasmBackend(engine) });
 * const x = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out } = await attend(x, x, x);
 * out.shape; // [1, 1, 2, 2]
 * engine.close();
 * ```
 */
export async function openEngine({ threads, relaxed }: OpenEngineOptions = {}): Promise<WasmEngine> {
  const options = relaxed === undefined ? {} : { relaxed };
  if (threads !== undefined) checkThreads(threads);
  if (isNode()) {
    const { nodeEngine } = await import("./pool.node.ts");
    return nodeEngine({ ...options, ...(threads === undefined ? {} : { threads }) });
  }
  const wanted = threads ?? Math.min(mostThreads, globalThis.navigator?.hardwareConcurrency ?? 1);
  if (wanted === 1) return new WasmEngine(options);
  const { engine, limitation } = await withWebWorkers(wanted, options);
  return engine ?? new WasmEngine({ ...options, limitation });
}

/** An engine on Web Workers, or why there cannot be one. */
async function withWebWorkers(
  threads: number,
  options: { readonly relaxed?: boolean },
): Promise<{ engine: WasmEngine; limitation?: undefined } | { engine?: undefined; limitation: string }> {
  if (typeof Worker === "undefined") return { limitation: "there are no workers here" };
  if (!globalThis.crossOriginIsolated) {
    return {
      limitation:
        "the page may not share memory: it is not cross-origin isolated. Serve it with the headers " +
        "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp",
    };
  }
  let pool: WorkerPool | undefined;
  try {
    const engine = new WasmEngine({
      ...options,
      pool: (memory) => (pool = new WorkerPool(memory, { threads, start: startWebWorker })),
    });
    await pool?.settle(startPatienceMs);
    if (engine.threads > 1) return { engine };
    engine.close();
    return { limitation: engine.limitation ?? "no worker started" };
  } catch (error) {
    pool?.close();
    return { limitation: `memory cannot be shared here (${String(error)})` };
  }
}

const isNode = (): boolean => typeof process === "object" && process.versions?.node !== undefined;
