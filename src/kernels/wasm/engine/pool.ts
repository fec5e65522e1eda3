/**
 * @file The thread pool: workers that share the memory of an engine, wherever they come from. The calling thread takes
 * tasks like the others and then waits for those that have joined: asleep where it may block, awake in a page.
 */
import { DomainError, UnsupportedError } from "../../../base/errors.ts";
import { type Phase, type ThreadPool } from "./engine.ts";
import { type WorkerOrder, type WorkerReport } from "./pool-worker.ts";
import {
  controlOf,
  controlWords,
  failures,
  markGone,
  mostThreads,
  openPhase,
  protocol,
  type SharedCode,
  takeTasks,
  threadStates,
} from "./thread-control.ts";

/** A worker as the pool knows it. */
export interface PoolWorker {
  /** Ends it, whatever it is doing. */
  end(): void;
}

/** What a worker's surroundings tell the pool. */
export interface WorkerEvents {
  readonly heard: (report: WorkerReport) => void;
  /** It runs no more, and why. */
  readonly gone: (reason: string) => void;
}

/** What a pool is made of. */
export interface WorkerPoolOptions {
  /** Threads, the calling one among them. */
  readonly threads: number;
  /** Starts one worker; may throw where there can be none. */
  readonly start: (order: WorkerOrder, events: WorkerEvents) => PoolWorker;
  /** A worker that has joined a phase answers within this, or within many times what this thread's tasks took. */
  readonly patienceMs?: number;
  /** Called once when a worker has not answered for a second: the time to find out whether it still lives. */
  readonly onSilence?: () => void;
}

const usualPatienceMs = 60_000;
const patienceInTasks = 100;
const silenceMs = 1000;

/** A whole number of threads that a pool can have. */
export function checkThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= mostThreads) return threads;
  throw new DomainError(
    "threads",
    `Cannot open an engine as threads must be a whole number from 1 to ${mostThreads}: ${threads}. ` +
      "Leave threads out for as many as the machine has cores",
  );
}

export class WorkerPool implements ThreadPool {
  readonly #memory: WebAssembly.Memory;
  readonly #control: Int32Array;
  readonly #options: WorkerPoolOptions;
  readonly #workers: PoolWorker[] = [];
  readonly #ready = new Set<number>();
  readonly #gone = new Set<number>();
  /** By kernel, how many workers have compiled it. */
  readonly #compiled = new Map<number, number>();
  readonly #mayBlock = mayBlock();
  #limitation: string | undefined;
  #whenSettled: (() => void) | undefined;
  #isClosed = false;
  #isGivenUp = false;

  /** Starts `threads` − 1 workers; fewer, with a {@link limitation}, where not all can be had. */
  constructor(memory: WebAssembly.Memory, options: WorkerPoolOptions) {
    this.#memory = memory;
    this.#control = controlOf(memory);
    this.#options = options;
    for (let thread = 1; thread < checkThreads(options.threads); thread++) {
      try {
        this.#workers.push(this.#start(thread));
      } catch (error) {
        this.#limitation = `a worker could not be started (${String(error)})`;
        break;
      }
    }
  }

  #start(thread: number): PoolWorker {
    return this.#options.start(
      { memory: this.#memory, protocol, thread },
      {
        heard: ({ ready, gaveUp }) => {
          if (ready === true) this.#ready.add(thread);
          if (gaveUp !== undefined) this.#lose(thread, gaveUp);
          this.#whenSettled?.();
        },
        gone: (reason) => {
          markGone(this.#control, protocol, thread);
          this.#lose(thread, reason);
          this.#whenSettled?.();
        },
      },
    );
  }

  #lose(thread: number, reason: string): void {
    this.#gone.add(thread);
    if (!this.#isClosed) this.#limitation ??= `a worker is gone (${reason})`;
  }

  get threads(): number {
    return this.#workers.length + 1;
  }

  get limitation(): string | undefined {
    return this.#limitation;
  }

  /**
   * Waits until every worker is there, and goes on without those that cannot be had or do not start in time. To be called
   * before the first phase, as the number of threads may change.
   */
  async settle(patienceMs: number): Promise<void> {
    const isSettled = (): boolean =>
      this.#workers.every((_, index) => this.#ready.has(index + 1) || this.#gone.has(index + 1));
    if (!isSettled()) {
      const { promise, resolve } = deferred();
      const timer = setTimeout(resolve, patienceMs);
      this.#whenSettled = () => {
        if (isSettled()) resolve();
      };
      await promise;
      this.#whenSettled = undefined;
      clearTimeout(timer);
    }
    const first = this.#workers.findIndex(
      (_, index) => !this.#ready.has(index + 1) || this.#gone.has(index + 1),
    );
    if (first === -1) return;
    this.#limitation ??= `a worker did not start within ${patienceMs / 1000} s`;
    for (const worker of this.#workers.splice(first)) worker.end();
  }

  lacks(kernel: number): boolean {
    return (this.#compiled.get(kernel) ?? 0) < this.#workers.length;
  }

  run(phase: Phase, code?: SharedCode): void {
    if (this.#isGivenUp) {
      throw new UnsupportedError(
        "wasm-thread",
        "Cannot attend on wasm as a thread of this engine was given up: it may still write into the memory. Open a new engine",
      );
    }
    const { kernel, records, count, scratch } = phase;
    if (count === 1) {
      kernel.run(records, scratch);
      return;
    }
    const start = performance.now();
    openPhase(this.#control, phase, code);
    Atomics.notify(this.#control, controlWords.phase);
    const failed = takeTasks({ control: this.#control, protocol, thread: 0, runnerOf: () => kernel.run });
    this.#awaitWorkers(performance.now() - start);
    const compiled = Atomics.load(this.#control, controlWords.compiled);
    this.#compiled.set(kernel.number, (this.#compiled.get(kernel.number) ?? 0) + compiled);
    const failure = Atomics.load(this.#control, controlWords.failed);
    if (failure === failures.none) return;
    throw new UnsupportedError(
      "wasm-thread",
      `Cannot attend on wasm as ${failureTexts[failure]}: the numbers of this call are not complete` +
        `${failed === undefined ? "" : ` (${failed.reason})`}. Use fewer threads, or report the call`,
    );
  }

  #awaitWorkers(ownMs: number): void {
    const { patienceMs: shortest = usualPatienceMs, onSilence } = this.#options;
    const patienceMs = Math.max(shortest, patienceInTasks * ownMs);
    const start = performance.now();
    let isSilent = false;
    for (let thread = 1; thread <= this.#workers.length; thread++) {
      const place = controlWords.states + thread;
      while (Atomics.load(this.#control, place) === threadStates.inside) {
        const waitedMs = performance.now() - start;
        if (waitedMs >= patienceMs) this.#giveUp(patienceMs);
        if (!isSilent && waitedMs >= silenceMs) {
          isSilent = true;
          onSilence?.();
        }
        if (!this.#mayBlock) continue;
        const untilMs = isSilent ? patienceMs : Math.min(silenceMs, patienceMs);
        Atomics.wait(this.#control, place, threadStates.inside, untilMs - waitedMs);
      }
    }
  }

  #giveUp(patienceMs: number): never {
    this.#isGivenUp = true;
    this.#limitation ??= "a worker fell silent";
    this.close();
    throw new UnsupportedError(
      "wasm-thread",
      `Cannot attend on wasm as a thread did not finish its task: it is silent for ${Number((patienceMs / 1000).toPrecision(2))} s. ` +
        "Use fewer threads, or report the call",
    );
  }

  close(): void {
    this.#isClosed = true;
    Atomics.store(this.#control, controlWords.closed, 1);
    Atomics.add(this.#control, controlWords.phase, 1);
    Atomics.notify(this.#control, controlWords.phase);
    for (const worker of this.#workers) worker.end();
  }
}

const failureTexts: Readonly<Record<number, string>> = {
  [failures.task]: "a task failed in one of the threads",
  [failures.code]: "a kernel could not be compiled in one of the threads",
  [failures.ended]: "a thread ended in the middle of a task",
};

/** The first thread of a page must not sleep; workers and Node may. */
function mayBlock(): boolean {
  try {
    // The word is 0, not 1: nothing is waited for.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
