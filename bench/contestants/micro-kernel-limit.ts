/**
 * @file What the machine's WebAssembly can do at all: the bare register tile on data in the first cache, on all threads at
 * the same time, as a shared machine is slower per core when all of them work.
 */
import { Worker } from "node:worker_threads";
import { encodeWasm } from "../../src/kernels/wasm/assembler/encode-wasm.ts";
import { tileProduct } from "../../src/kernels/wasm/assembler/micro-kernel.ts";

const extent = 64;
const repeats = 1600;
const tileBytes = 4 * extent * extent;

/** Multiply-adds of one run of one thread, counted as two operations. */
export const operationsPerThread: number = 2 * extent ** 3 * repeats;

/** Runs the tile often on every thread. */
export interface Limit {
  readonly run: () => void;
  readonly close: () => void;
}

/** Words of the control memory: the number of the run, and how many workers are done with it. */
const runWord = 0;
const doneWord = 1;

/** Starts the threads. */
export function microKernelLimit(relaxed: boolean, threads: number): Limit {
  const tile = tileProduct(relaxed, {
    name: "tile",
    comment: "",
    a: { row: extent, step: 1 },
    b: { step: 8, panel: 8 * extent },
    c: { row: extent },
    steps: extent,
    columns: extent,
    start: "zero",
    step: "multiply",
  });
  const pages = { minimum: 1, maximum: 1, shared: false };
  const wasm = new WebAssembly.Module(
    Uint8Array.from(encodeWasm({ header: [], functions: [tile], exports: ["tile"], memory: pages })),
  );
  const control = new Int32Array(new SharedArrayBuffer(8));
  const settings = { extent, repeats, tileBytes };
  const workers = Array.from({ length: threads - 1 }, () => {
    const worker = new Worker(workerSource, {
      eval: true,
      workerData: { wasm, control, settings, runWord, doneWord },
    });
    worker.unref();
    return worker;
  });
  const own = tileRunner(wasm, settings);
  return {
    run() {
      Atomics.store(control, doneWord, 0);
      Atomics.add(control, runWord, 1);
      Atomics.notify(control, runWord);
      own();
      for (;;) {
        const done = Atomics.load(control, doneWord);
        if (done === workers.length) return;
        Atomics.wait(control, doneWord, done);
      }
    },
    close() {
      for (const worker of workers) void worker.terminate();
    },
  };
}

/** Refers to nothing but its arguments, so that its text is all that a worker needs. */
function tileRunner(
  wasm: WebAssembly.Module,
  { extent, repeats, tileBytes }: { extent: number; repeats: number; tileBytes: number },
): () => void {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(wasm, { qklab: { memory } });
  const run = exports["tile"] as (...operands: number[]) => void;
  return () => {
    for (let repeat = 0; repeat < repeats; repeat++) run(0, tileBytes, 2 * tileBytes, extent, 0, 0, 0);
  };
}

const workerSource = `
const { workerData } = require("node:worker_threads");
const { wasm, control, settings, runWord, doneWord } = workerData;
const run = (${tileRunner.toString()})(wasm, settings);
for (let number = 0; ; ) {
  Atomics.wait(control, runWord, number);
  number = Atomics.load(control, runWord);
  run();
  Atomics.add(control, doneWord, 1);
  Atomics.notify(control, doneWord);
}
`;
