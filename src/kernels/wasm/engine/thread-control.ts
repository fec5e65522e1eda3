/**
 * @file How threads share the tasks of a phase: a few words at the start of the shared memory. A phase is open while tasks
 * are left; a thread that joins takes one task after the other and leaves. Nobody waits for a thread that has not joined,
 * so that a late or a dead one costs nothing.
 *
 * The functions here also travel to workers as text: they refer to nothing but their arguments, and no function inside
 * them has a name, as some bundlers wrap named ones in a helper that a worker does not have.
 */
import { tasks } from "./tasks.ts";
import { recordBytes } from "./scratch.ts";

/** Places of the words. */
export const controlWords = {
  /** Grows with every phase; threads sleep on it. */
  phase: 0,
  /** Tasks not yet taken; the thread that lowers it from r > 0 has task count − r. */
  left: 1,
  /** One of {@link failures}. */
  failed: 2,
  /** 1 when threads must end. */
  closed: 3,
  kernel: 4,
  records: 5,
  count: 6,
  scratch: 7,
  scratchBytes: 8,
  /** Address and size of the kernel's bytes, for threads that have not compiled it; size 0 when all have. */
  code: 9,
  codeBytes: 10,
  /** Threads that have compiled the kernel in this phase. */
  compiled: 11,
  /** The first of one word a thread: where it is, one of {@link threadStates}. */
  states: 16,
} as const;

/** Where a thread is. Only `inside` is waited for: it reads and writes memory. */
export const threadStates = { away: 0, inside: 1, gone: 2 } as const;

/** Why the numbers of a phase are not complete. */
export const failures = { none: 0, task: 1, code: 2, ended: 3 } as const;

/** More threads than this have no word for their state. */
export const mostThreads = 128;

/** Bytes that the words take at the start of the memory. */
export const controlBytes: number = 4 * (controlWords.states + mostThreads);

/** The numbers that a worker must know, as it is sent text without imports. */
export interface Protocol {
  readonly words: typeof controlWords;
  readonly states: typeof threadStates;
  readonly failures: typeof failures;
  readonly recordBytes: number;
  readonly tasks: readonly string[];
}
export const protocol: Protocol = { words: controlWords, states: threadStates, failures, recordBytes, tasks };

/** The words of a memory. */
export function controlOf(memory: WebAssembly.Memory): Int32Array {
  return new Int32Array(memory.buffer, 0, controlBytes / 4);
}

/** Where a kernel's bytes lie in the shared memory. */
export interface SharedCode {
  readonly address: number;
  readonly bytes: number;
}

/** What threads must know of a phase. */
export interface SharedPhase {
  readonly kernel: { readonly number: number };
  /** Address of the first record; the others follow it. */
  readonly records: number;
  readonly count: number;
  /** Scratch memory of the first thread, and the bytes from one thread's to the next. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** Opens a phase for whoever joins. */
export function openPhase(
  control: Int32Array,
  { kernel, records, count, scratch, scratchBytes }: SharedPhase,
  code: SharedCode = { address: 0, bytes: 0 },
): void {
  control[controlWords.kernel] = kernel.number;
  control[controlWords.records] = records;
  control[controlWords.count] = count;
  control[controlWords.scratch] = scratch;
  control[controlWords.scratchBytes] = scratchBytes;
  control[controlWords.code] = code.address;
  control[controlWords.codeBytes] = code.bytes;
  Atomics.store(control, controlWords.compiled, 0);
  Atomics.store(control, controlWords.failed, failures.none);
  Atomics.store(control, controlWords.left, count);
  Atomics.add(control, controlWords.phase, 1);
}

/** What {@link takeTasks} needs. */
export interface ThreadContext {
  readonly control: Int32Array;
  readonly protocol: Protocol;
  /** 0 for the calling thread, from 1 for workers: whose scratch memory and whose state it uses. */
  readonly thread: number;
  readonly runnerOf: (kernel: number) => (record: number, scratch: number) => void;
}

/** What went wrong in a thread: one of {@link failures}, and in words. */
export interface ThreadFailure {
  readonly failure: number;
  readonly reason: string;
}

/** Joins the open phase, if there is one, and takes tasks until none is left. Refers to nothing but its argument. */
export function takeTasks({
  control,
  protocol: { words, states, failures, recordBytes },
  thread,
  runnerOf,
}: ThreadContext): ThreadFailure | undefined {
  let failure: number = failures.none;
  Atomics.store(control, words.states + thread, states.inside);
  try {
    for (;;) {
      const left = Atomics.sub(control, words.left, 1);
      if (left <= 0) return undefined;
      failure = failures.code;
      const run = runnerOf(control[words.kernel]);
      failure = failures.task;
      const task = control[words.count] - left;
      run(
        (control[words.records] + task * recordBytes) >>> 0,
        (control[words.scratch] + thread * control[words.scratchBytes]) >>> 0,
      );
    }
  } catch (error) {
    Atomics.store(control, words.failed, failure);
    Atomics.store(control, words.left, 0);
    return { failure, reason: String(error) };
  } finally {
    Atomics.store(control, words.states + thread, states.away);
    Atomics.notify(control, words.states + thread);
  }
}

/** Functions of a kernel by task. Refers to nothing but its arguments. */
export function makeRunner(
  wasm: WebAssembly.Module,
  memory: WebAssembly.Memory,
  names: readonly string[],
): (record: number, scratch: number) => void {
  const { exports } = new WebAssembly.Instance(wasm, { qklab: { memory } });
  const functions = names.map((name) => exports[name] as (record: number, scratch: number) => void);
  let view = new Int32Array(memory.buffer);
  return (record, scratch) => {
    if (view.byteLength !== memory.buffer.byteLength) view = new Int32Array(memory.buffer);
    functions[view[record >>> 2]](record, scratch);
  };
}

/**
 * Says of a thread that has ended that nobody need wait for it; if it ended inside a phase, that the numbers are not
 * complete. Refers to nothing but its arguments.
 */
export function markGone(control: Int32Array, { words, states, failures }: Protocol, thread: number): void {
  if (Atomics.exchange(control, words.states + thread, states.gone) === states.inside) {
    Atomics.store(control, words.failed, failures.ended);
    Atomics.store(control, words.left, 0);
  }
  Atomics.notify(control, words.states + thread);
}
