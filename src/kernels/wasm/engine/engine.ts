/**
 * @file An engine: one memory, the kernels compiled so far, and the threads that run their tasks. Calls are synchronous;
 * one thread needs nothing, more threads come from a pool that shares the memory.
 */
import { Arena } from "./arena.ts";
import { defineFunction, f32x4, type WasmModule } from "../assembler/assembler.ts";
import { type Task, tasks } from "./tasks.ts";
import { encodeWasm } from "../assembler/encode-wasm.ts";
import { recordBytes } from "./scratch.ts";
import { makeRunner, type SharedCode, type SharedPhase } from "./thread-control.ts";

/** Compiled code of a module that the engine's threads can run. */
export interface KernelCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly run: TaskRunner;
  /** Its number within the engine. */
  readonly number: number;
}

/** Runs the task of one record with one thread's scratch memory. */
export type TaskRunner = (record: number, scratch: number) => void;

/** The tasks of one phase, which may run at the same time and in any order. */
export interface Phase extends SharedPhase {
  readonly kernel: KernelCode;
  /** Whether this thread finishes the tasks before others have woken. */
  readonly isSmall?: boolean;
}

/** Runs the tasks of phases on several threads, this one among them. */
export interface ThreadPool {
  readonly threads: number;
  /** Why there are fewer threads than were asked for, or than there once were. */
  readonly limitation: string | undefined;
  /** Whether a thread may not have compiled a kernel, so that {@link run} must be told where its bytes are. */
  lacks(kernel: number): boolean;
  /**
   * Runs all tasks of a phase.
   *
   * @throws UnsupportedError `wasm-thread` when a task failed, or a thread ended or fell silent in the middle of one
   */
  run(phase: Phase, code?: SharedCode): void;
  close(): void;
}

/** What an engine is made of. */
export interface EngineOptions {
  /** Multiply and add in one instruction; by default where the machine can. */
  readonly relaxed?: boolean;
  /** Makes the threads of an engine whose memory is shared; one thread without it. */
  readonly pool?: (memory: WebAssembly.Memory) => ThreadPool;
  /** Why there is no pool though one was asked for. */
  readonly limitation?: string;
}

/** Whether this machine's WebAssembly knows relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  const probe = defineFunction("probe", "", [], true, (b) => {
    const one = b.let("one", f32x4.constant(1));
    b.set(one, b.madd(one, one, one));
  });
  const memory = { minimum: 1, maximum: 1, shared: false };
  return WebAssembly.validate(encodeWasm({ header: [], functions: [probe], exports: [], memory }));
}

export class WasmEngine {
  readonly arena: Arena;
  readonly relaxed: boolean;
  readonly #pool: ThreadPool | undefined;
  readonly #limitation: string | undefined;
  readonly #codes = new Map<string, KernelCode>();

  constructor({ relaxed = hasRelaxedSimd(), pool, limitation }: EngineOptions = {}) {
    this.relaxed = relaxed;
    this.#limitation = limitation;
    this.arena = new Arena(pool !== undefined);
    this.#pool = pool?.(this.arena.memory);
  }

  /** Threads that calls run on, the calling one among them. */
  get threads(): number {
    return this.#pool?.threads ?? 1;
  }

  /** Whether the memory is shared between threads. */
  get shared(): boolean {
    return this.#pool !== undefined;
  }

  /** Why the engine has fewer threads than it was asked for, or than it once had. */
  get limitation(): string | undefined {
    return this.#pool?.limitation ?? this.#limitation;
  }

  /** The code of a module whose exports are tasks. */
  compile(module: WasmModule): KernelCode {
    const bytes = encodeWasm(module);
    // Equal bytes are compiled once, whatever compositions they come from.
    const key = new TextDecoder("latin1").decode(bytes);
    let code = this.#codes.get(key);
    if (code === undefined) {
      const run = makeRunner(new WebAssembly.Module(bytes), this.arena.memory, tasks);
      code = { bytes, run, number: this.#codes.size };
      this.#codes.set(key, code);
    }
    return code;
  }

  /** Runs all tasks of a phase; the next phase may read what they wrote. */
  run(phase: Phase): void {
    const { kernel, records, count, scratch, isSmall = false } = phase;
    if (this.#pool === undefined || isSmall || count === 1) {
      for (let task = 0; task < count; task++) kernel.run(records + task * recordBytes, scratch);
      return;
    }
    const mark = this.arena.mark;
    try {
      this.#pool.run(phase, this.#pool.lacks(kernel.number) ? this.#share(kernel.bytes) : undefined);
    } finally {
      this.arena.giveBack(mark);
    }
  }

  /** Puts code where threads that sleep will find it; they read it before the phase ends. */
  #share(code: Uint8Array): SharedCode {
    const address = this.arena.take(code.length);
    this.arena.bytes.set(code, address);
    return { address, bytes: code.length };
  }

  /** Ends the threads. The engine must not be used afterwards. */
  close(): void {
    this.#pool?.close();
  }
}

/** The number that a record's `task` field holds. */
export const taskNumber = (task: Task): number => tasks.indexOf(task);
