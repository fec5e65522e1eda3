/** @file The thread pool of Node: worker threads that sleep on the shared memory and are woken by atomics. */
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { UnsupportedError } from "../../base/errors.ts";
import { tasks } from "./emit-kernel.ts";
import { type Phase, type ThreadPool, WasmEngine } from "./engine.ts";
import { recordBytes } from "./scratch.ts";
import { controlWords, makeRunner, openPhase, takeTasks } from "./thread-control.ts";

/** What an engine for Node may be told. */
export interface NodeEngineOptions {
  /** Threads, the calling one among them; by default as many as the machine has cores. */
  readonly threads?: number;
  /** Multiply and add in one instruction; by default where the machine can. */
  readonly relaxed?: boolean;
}

/** An engine on the threads of this process. It keeps no process alive. */
export function nodeEngine({
  threads = availableParallelism(),
  relaxed,
}: NodeEngineOptions = {}): WasmEngine {
  allowRelaxedSimd();
  return new WasmEngine({
    ...(relaxed === undefined ? {} : { relaxed }),
    ...(threads > 1 ? { pool: (memory) => nodePool(memory, threads) } : {}),
  });
}

/** Node 20 has relaxed SIMD behind a flag, which must be set before the first module is compiled; later versions refuse it. */
export function allowRelaxedSimd(): void {
  if (process.versions.node.startsWith("20.")) setFlagsFromString("--experimental-wasm-relaxed-simd");
}

/** A worker that has joined a phase answers within this, or within many times what the slowest task took here. */
const shortestPatienceMs = 60_000;
const patienceInTasks = 100;

/** Starts `threads` − 1 workers that share `memory`. */
export function nodePool(memory: WebAssembly.Memory, threads: number): ThreadPool {
  const control = new Int32Array(memory.buffer, 0, 16);
  const ports: MessagePort[] = [];
  const workers = Array.from({ length: threads - 1 }, (_, index) => {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1);
    port1.unref();
    const worker = new Worker(workerSource, {
      eval: true,
      workerData: { memory, port: port2, thread: index + 1, words: controlWords, recordBytes, tasks },
      transferList: [port2],
    });
    worker.unref();
    worker.on("error", () => {
      // A dead worker takes no more tasks; the others do its work.
    });
    return worker;
  });
  const sent = new Set<number>();
  return {
    threads,
    run(phase: Phase) {
      const { kernel } = phase;
      if (!sent.has(kernel.number)) {
        sent.add(kernel.number);
        for (const port of ports) port.postMessage({ number: kernel.number, wasm: kernel.wasm });
      }
      const start = performance.now();
      openPhase(control, phase);
      Atomics.notify(control, controlWords.phase);
      takeTasks({ control, words: controlWords, recordBytes, thread: 0, runnerOf: () => kernel.run });
      awaitOthers(control, performance.now() - start);
      if (Atomics.load(control, controlWords.failed) !== 0) {
        throw new UnsupportedError(
          "wasm-thread",
          "Cannot attend on wasm as a task failed in one of the threads: the numbers of this call are not complete. " +
            "Use fewer threads, or report the call",
        );
      }
    },
    close() {
      Atomics.store(control, controlWords.closed, 1);
      Atomics.add(control, controlWords.phase, 1);
      Atomics.notify(control, controlWords.phase);
      for (const port of ports) port.close();
      for (const worker of workers) void worker.terminate();
    },
  };
}

function awaitOthers(control: Int32Array, ownMs: number): void {
  const patienceMs = Math.max(shortestPatienceMs, patienceInTasks * ownMs);
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const active = Atomics.load(control, controlWords.active);
    if (active === 0) return;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) {
      Atomics.store(control, controlWords.active, 0);
      throw new UnsupportedError(
        "wasm-thread",
        `Cannot attend on wasm as a thread did not finish its task: it is silent for ${Math.round(patienceMs / 1000)} s. ` +
          "Use fewer threads, or report the call",
      );
    }
    Atomics.wait(control, controlWords.active, active, leftMs);
  }
}

/** The program of a worker; its functions refer to nothing but their arguments, so that their text is all it needs. */
const workerSource = `
const { workerData, receiveMessageOnPort } = require("node:worker_threads");
const { memory, port, thread, words, recordBytes, tasks } = workerData;
const takeTasks = ${takeTasks.toString()};
const makeRunner = ${makeRunner.toString()};
const control = new Int32Array(memory.buffer, 0, 16);
const runners = new Map();
const runnerOf = (kernel) => {
  for (let received; (received = receiveMessageOnPort(port)) !== undefined; ) {
    runners.set(received.message.number, makeRunner(received.message.wasm, memory, tasks));
  }
  return runners.get(kernel);
};
let phase = 0;
for (;;) {
  Atomics.wait(control, words.phase, phase);
  phase = Atomics.load(control, words.phase);
  if (Atomics.load(control, words.closed) !== 0) break;
  takeTasks({ control, words, recordBytes, thread, runnerOf });
}
`;
