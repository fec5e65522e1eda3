/**
 * @file Worker threads of Node for the pool, and engines on them. Node's modules are asked for by name at run time, so that
 * bundlers for browsers need not know them.
 */
import type { MessagePort, Worker as NodeWorker } from "node:worker_threads";
import { WasmEngine } from "./engine.ts";
import { checkThreads, WorkerPool, type WorkerPoolOptions } from "./pool.ts";
import { type WorkerReport, workerProgram } from "./pool-worker.ts";
import { markGone, mostThreads, protocol } from "./thread-control.ts";

const { MessageChannel, Worker } = process.getBuiltinModule("node:worker_threads");

/** What an engine for Node may be told. */
export interface NodeEngineOptions {
  /** Threads, the calling one among them; by default as many as the machine has cores. */
  readonly threads?: number;
  /** Multiply and add in one instruction; by default where the machine can. */
  readonly relaxed?: boolean;
}

/** An engine on the threads of this process. It keeps no process alive. */
export function nodeEngine({ threads = cores(), relaxed }: NodeEngineOptions = {}): WasmEngine {
  allowRelaxedSimd();
  return new WasmEngine({
    ...(relaxed === undefined ? {} : { relaxed }),
    ...(checkThreads(threads) > 1 ? { pool: (memory) => nodePool(memory, threads) } : {}),
  });
}

const cores = (): number => Math.min(mostThreads, process.getBuiltinModule("node:os").availableParallelism());

/** Node 20 has relaxed SIMD behind a flag, which must be set before the first module is compiled; later versions refuse it. */
export function allowRelaxedSimd(): void {
  if (!process.versions.node.startsWith("20.")) return;
  process.getBuiltinModule("node:v8").setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/** Starts `threads` − 1 workers that share `memory`. */
export function nodePool(memory: WebAssembly.Memory, threads: number): WorkerPool {
  return new WorkerPool(memory, { threads, ...nodeWorkers(memory) });
}

/** How workers of Node are started and watched, and those that were. */
export interface NodeWorkers extends Required<Pick<WorkerPoolOptions, "start" | "onSilence">> {
  readonly workers: readonly NodeWorker[];
}

/** Workers on a memory. */
export function nodeWorkers(memory: WebAssembly.Memory): NodeWorkers {
  const workers: NodeWorker[] = [];
  const links: { readonly thread: number; readonly port: MessagePort }[] = [];
  return {
    workers,
    start(order, events) {
      // Nothing is sent through this channel: it closes when the worker ends, whatever ended it.
      const { port1, port2 } = new MessageChannel();
      const worker = new Worker(workerSource, {
        eval: true,
        workerData: { order, link: port2 },
        transferList: [port2],
      });
      worker.on("message", (report: WorkerReport) => events.heard(report));
      worker.on("error", (error) => events.gone(String(error)));
      worker.on("exit", (code) => events.gone(`it ended with code ${code}`));
      // Last, as listening for messages would keep the process.
      worker.unref();
      port1.unref();
      links.push({ thread: order.thread, port: port1 });
      workers.push(worker);
      return { end: () => void worker.terminate() };
    },
    onSilence() {
      // Events do not reach a thread that waits, so another one listens for it, and goes on listening: the links are its own.
      const given = links.splice(0);
      if (given.length === 0) return;
      const ports = given.map(({ port }) => port);
      const threads = given.map(({ thread }) => thread);
      new Worker(watcherSource, {
        eval: true,
        workerData: { memory, protocol, threads, ports },
        transferList: ports,
      }).unref();
    },
  };
}

const workerSource = `
const { parentPort, workerData } = require("node:worker_threads");
${workerProgram}(workerData.order, (report) => parentPort.postMessage(report));
`;

/** Marks the threads whose links close. Ends when all have. */
const watcherSource = `
const { workerData } = require("node:worker_threads");
const { memory, protocol, threads, ports } = workerData;
const markGone = ${markGone.toString()};
const control = new Int32Array(memory.buffer, 0, protocol.words.states + Math.max(...threads) + 1);
ports.forEach((port, index) => {
  port.on("close", () => markGone(control, protocol, threads[index]));
  port.ref();
  port.start();
});
`;
