/**
 * @file The contract of workers, wherever they come from: tasks are shared, and whatever happens to a worker gives an
 * error or the right numbers, never a wait without end. Each phase here is arranged so that both threads take part in it:
 * a worker's task ends only when the calling thread has done one, and that one only when the worker has shown itself.
 */
import { afterEach, expect, test } from "vitest";
import {
  defineFunction,
  type FunctionBuilder,
  i32,
  integer,
  type Local,
  type Value,
} from "../../src/kernels/wasm/assembler/assembler.ts";
import { encodeWasm } from "../../src/kernels/wasm/assembler/encode-wasm.ts";
import { type KernelCode, type Phase } from "../../src/kernels/wasm/engine/engine.ts";
import { mostPages } from "../../src/kernels/wasm/engine/tasks.ts";
import { type PoolWorker, WorkerPool, type WorkerPoolOptions } from "../../src/kernels/wasm/engine/pool.ts";
import { recordBytes } from "../../src/kernels/wasm/engine/scratch.ts";
import {
  controlOf,
  controlWords,
  failures,
  type SharedCode,
} from "../../src/kernels/wasm/engine/thread-control.ts";

const count = 8;
/** Addresses of a memory of one page. The gate is 1 once the calling thread has done a task. */
const gate = 2048;
const records = 4096;
const scratch = 16_384;
const scratchBytes = 1024;
const codeAddress = 32_768;

const startPatienceMs = 30_000;
/** Longer than any healthy worker of these tests computes. */
const patienceMs = 100;

/** One memory, one pool of two threads, and its worker. */
export interface Workshop {
  readonly pool: WorkerPool;
  readonly workers: readonly PoolWorker[];
  /** Runs a phase whose tasks are, in a worker, the built code; here, `own`, the first time. */
  readonly phase: (number: number, code: Uint8Array | undefined, own: () => void) => void;
  /** What tasks wrote into their records. */
  readonly written: () => readonly number[];
  /** Waits until a worker has written, or a task has failed. */
  readonly awaitWorker: () => void;
}

const opened: WorkerPool[] = [];

/** A pool whose workers have started. */
export async function openWorkshop(
  options: (memory: WebAssembly.Memory) => Omit<WorkerPoolOptions, "threads">,
): Promise<Workshop> {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: mostPages, shared: true });
  const workers: PoolWorker[] = [];
  const { start, ...others } = options(memory);
  const pool = new WorkerPool(memory, {
    threads: 2,
    ...others,
    start(order, events) {
      const worker = start(order, events);
      workers.push(worker);
      return worker;
    },
  });
  opened.push(pool);
  await pool.settle(startPatienceMs);
  const control = controlOf(memory);
  const numbers = new Int32Array(memory.buffer);
  const place = (task: number): number => (records + task * recordBytes) / 4;
  const written = (): readonly number[] =>
    Array.from({ length: count }, (_, task) => Atomics.load(numbers, place(task) + 1));
  return {
    pool,
    workers,
    written,
    awaitWorker() {
      const deadline = performance.now() + startPatienceMs;
      while (written().every((number) => number === 0)) {
        if (Atomics.load(control, controlWords.failed) !== failures.none) return;
        if (performance.now() > deadline) throw new Error("no worker took part");
      }
    },
    phase(number, code, own) {
      for (let task = 0; task < count; task++) numbers.fill(0, place(task), place(task) + 2);
      numbers[gate / 4] = 0;
      let shared: SharedCode | undefined;
      if (code !== undefined) {
        new Uint8Array(memory.buffer).set(code, codeAddress);
        shared = { address: codeAddress, bytes: code.length };
      }
      let isFirst = true;
      const run = (record: number, scratchAt: number): void => {
        try {
          if (isFirst) own();
          isFirst = false;
          Atomics.store(numbers, record / 4 + 1, scratchAt);
        } finally {
          Atomics.store(numbers, gate / 4, 1);
        }
      };
      const kernel = { run, number } as unknown as KernelCode;
      const phase: Phase = { kernel, records, count, scratch, scratchBytes };
      pool.run(phase, shared);
    },
  };
}

/** A module whose every task is the function. */
function codeOf(build: (b: FunctionBuilder, record: Local, scratchAt: Local) => void): Uint8Array {
  const task = defineFunction("packKeys", "", ["record", "scratch"], false, build);
  const memory = { minimum: 1, maximum: mostPages, shared: true };
  return encodeWasm({ header: [], functions: [task], exports: ["packKeys"], memory });
}

/** Repeats storing into the record until `isOpen` gives 1. */
const storing = (isOpen: (record: Local) => Value): Uint8Array =>
  codeOf((b, record, scratchAt) => {
    const counter = b.local("i32", "counter");
    b.for(counter, 0, 1, 0, () => {
      b.store(record, scratchAt, 4);
      b.set(counter, isOpen(record));
    });
  });
/** Writes down whose scratch memory it was given, and waits for the gate. */
export const honest: Uint8Array = storing(() => i32.load(integer(gate)));
/** Shows itself and never ends: the first field of these records is 0. */
export const endless: Uint8Array = storing((record) => i32.load(record));
/** Writes beyond any memory. */
const trapping: Uint8Array = codeOf((b, _record, scratchAt) => b.store(i32.sub(0, 4), scratchAt, 64));
/** What compilers refuse. */
const garbled: Uint8Array = honest.map((byte, index) => (index < 8 ? byte : 0xff));

const here = scratch;
const there = scratch + scratchBytes;
const allHere = Array.from({ length: count }, () => here);

/** Registers the suite for a kind of worker. */
export function poolContract(start: (memory: WebAssembly.Memory) => WorkerPoolOptions["start"]): void {
  const open = (): Promise<Workshop> => openWorkshop((memory) => ({ start: start(memory), patienceMs }));

  afterEach(() => {
    for (const pool of opened.splice(0)) pool.close();
  });

  test("tasks are shared between two threads, each with scratch memory of its own", async () => {
    const { pool, phase, written, awaitWorker } = await open();
    expect(pool.threads).toBe(2);
    expect(pool.limitation).toBeUndefined();
    phase(0, honest, awaitWorker);
    expect(new Set(written())).toEqual(new Set([here, there]));
  });

  test("a worker is shown a kernel once", async () => {
    const { pool, phase, written, awaitWorker } = await open();
    expect(pool.lacks(0)).toBe(true);
    phase(0, honest, awaitWorker);
    expect(pool.lacks(0)).toBe(false);
    expect(pool.lacks(1)).toBe(true);
    phase(0, undefined, awaitWorker);
    expect(written()).toContain(there);
  });

  test("a task that fails in a worker is an error, and the next phase is whole", async () => {
    const { phase, written, awaitWorker } = await open();
    expect(() => phase(0, trapping, awaitWorker)).toThrow(/a task failed in one of the threads/);
    phase(1, honest, awaitWorker);
    expect(written()).toContain(there);
  });

  test("a task that fails in the calling thread is an error that says why", async () => {
    const { phase } = await open();
    const fail = (): void => {
      throw new RangeError("no room");
    };
    expect(() => phase(0, honest, fail)).toThrow(/a task failed.*no room/);
  });

  test("code that a worker cannot compile is an error, and the worker is not asked again", async () => {
    const { pool, phase, written, awaitWorker } = await open();
    expect(() => phase(0, garbled, awaitWorker)).toThrow(/could not be compiled in one of the threads/);
    await expect.poll(() => pool.limitation).toMatch(/a worker is gone \(CompileError/);
    phase(1, honest, () => {});
    expect(written()).toEqual(allHere);
  });

  test("a worker that falls silent in the middle of a task is an error, now and from then on", async () => {
    const { pool, workers, phase, awaitWorker } = await open();
    const cut = (): void => {
      awaitWorker();
      workers[0].end();
    };
    expect(() => phase(0, endless, cut)).toThrow(/a thread did not finish its task: it is silent for/);
    expect(() => phase(1, honest, () => {})).toThrow(/was given up.*Open a new engine/);
    expect(pool.limitation).toBe("a worker fell silent");
  });

  test("a worker that cannot be started is done without", async () => {
    const { pool, phase, written } = await openWorkshop(() => ({
      start() {
        throw new Error("not here");
      },
    }));
    expect(pool.threads).toBe(1);
    expect(pool.limitation).toBe("a worker could not be started (Error: not here)");
    phase(0, honest, () => {});
    expect(written()).toEqual(allHere);
  });

  test("a worker that never starts is waited for once, and done without", async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: mostPages, shared: true });
    const ended: number[] = [];
    const pool = new WorkerPool(memory, {
      threads: 4,
      start({ thread }, { heard }) {
        if (thread === 1) heard({ ready: true });
        return { end: () => ended.push(thread) };
      },
    });
    await pool.settle(patienceMs);
    expect(pool.threads).toBe(2);
    expect(pool.limitation).toBe("a worker did not start within 0.1 s");
    expect(ended).toEqual([2, 3]);
  });
}
