/** @file What the machine's memory can do: float32 numbers copied on all threads, far more of them than the caches hold. */
import { Worker } from "node:worker_threads";

/** Numbers that one run copies, 64 MiB. */
const floats = 2 ** 24;

/** Bytes of a run: every number is read and written. */
export const copyBytes: number = 2 * 4 * floats;

const words = { round: 0, done: 1, closed: 2 } as const;

const program = `
const { workerData: { control, from, to, start, end, words } } = require("node:worker_threads");
for (let seen = 0; ; ) {
  while (Atomics.load(control, words.round) === seen) Atomics.wait(control, words.round, seen);
  seen++;
  if (Atomics.load(control, words.closed) !== 0) break;
  to.set(from.subarray(start, end), start);
  Atomics.add(control, words.done, 1);
  Atomics.notify(control, words.done);
}`;

/** A run of the copy on `threads` threads. */
export function copyLimit(threads: number): {
  readonly run: () => void;
  readonly close: () => Promise<void>;
} {
  const control = new Int32Array(new SharedArrayBuffer(64));
  const [from, to] = [1, 2].map((value) => new Float32Array(new SharedArrayBuffer(4 * floats)).fill(value));
  const share = Math.ceil(floats / threads);
  const workers = Array.from({ length: threads - 1 }, (_, index) => {
    const [start, end] = [(index + 1) * share, Math.min(floats, (index + 2) * share)];
    return new Worker(program, { eval: true, workerData: { control, from, to, start, end, words } });
  });
  const wake = (): void => {
    Atomics.add(control, words.round, 1);
    Atomics.notify(control, words.round);
  };
  return {
    run() {
      Atomics.store(control, words.done, 0);
      wake();
      to.set(from.subarray(0, share));
      for (let done = 0; (done = Atomics.load(control, words.done)) < workers.length;) {
        Atomics.wait(control, words.done, done);
      }
    },
    async close() {
      Atomics.store(control, words.closed, 1);
      wake();
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
