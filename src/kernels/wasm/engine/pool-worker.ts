/**
 * @file What a worker of the thread pool does, the same text in Node and in browsers: it sleeps on the shared memory, is
 * woken for a phase, and compiles a kernel from bytes in that memory when it meets it first. No message reaches a worker
 * that sleeps, and none is needed.
 */
import { makeRunner, type Protocol, takeTasks } from "./thread-control.ts";

/** What a worker is sent once, at its start. */
export interface WorkerOrder {
  readonly memory: WebAssembly.Memory;
  readonly protocol: Protocol;
  /** From 1: whose scratch memory it uses. */
  readonly thread: number;
}

/** What a worker says: that it waits for work, or why it has given up. */
export interface WorkerReport {
  readonly ready?: boolean;
  readonly gaveUp?: string;
}

/** Takes part in phases until the pool is closed or a kernel cannot be compiled. Refers to nothing but its arguments. */
function serve(
  { memory, protocol, thread }: WorkerOrder,
  report: (report: WorkerReport) => void,
  shared: { readonly takeTasks: typeof takeTasks; readonly makeRunner: typeof makeRunner },
): void {
  const { words, failures, tasks } = protocol;
  const control = new Int32Array(memory.buffer, 0, words.states + thread + 1);
  const runners = new Map<number, ReturnType<typeof makeRunner>>();
  let phase = 0;
  report({ ready: true });
  for (;;) {
    Atomics.wait(control, words.phase, phase);
    phase = Atomics.load(control, words.phase);
    if (Atomics.load(control, words.closed) !== 0) return;
    const failed = shared.takeTasks({
      control,
      protocol,
      thread,
      runnerOf: (kernel) => {
        const known = runners.get(kernel);
        if (known !== undefined) return known;
        // Compilers take no shared bytes: slice copies them.
        const shown = new Uint8Array(memory.buffer, control[words.code] >>> 0, control[words.codeBytes]);
        const run = shared.makeRunner(new WebAssembly.Module(shown.slice()), memory, tasks);
        runners.set(kernel, run);
        Atomics.add(control, words.compiled, 1);
        return run;
      },
    });
    if (failed?.failure === failures.code) {
      report({ gaveUp: failed.reason });
      return;
    }
  }
}

/** The program of a worker: an expression, to be called with an order and a function that reports. */
export const workerProgram: string = `((order, report) => {
const takeTasks = ${takeTasks.toString()};
const makeRunner = ${makeRunner.toString()};
(${serve.toString()})(order, report, { takeTasks, makeRunner });
})`;
