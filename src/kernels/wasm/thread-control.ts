/**
 * @file How threads share the tasks of a phase: a few words at the start of the shared memory. A phase is open while tasks
 * are left; a thread that joins takes one task after the other and leaves. Nobody waits for a thread that has not joined,
 * so that a late or a dead one costs nothing.
 */
/** Places of the words. */
export const controlWords = {
  /** Grows with every phase; threads sleep on it. */
  phase: 0,
  /** Tasks not yet taken; the thread that lowers it from r > 0 has task count − r. */
  left: 1,
  /** Threads that have joined. */
  active: 2,
  /** 1 when a task has failed. */
  failed: 3,
  /** 1 when threads must end. */
  closed: 4,
  kernel: 5,
  records: 6,
  count: 7,
  scratch: 8,
  scratchBytes: 9,
} as const;

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
): void {
  control[controlWords.kernel] = kernel.number;
  control[controlWords.records] = records;
  control[controlWords.count] = count;
  control[controlWords.scratch] = scratch;
  control[controlWords.scratchBytes] = scratchBytes;
  Atomics.store(control, controlWords.failed, 0);
  Atomics.store(control, controlWords.left, count);
  Atomics.add(control, controlWords.phase, 1);
}

/** What {@link takeTasks} needs to be told, as it is also sent to workers as text. */
export interface ThreadContext {
  readonly control: Int32Array;
  readonly words: typeof controlWords;
  readonly recordBytes: number;
  /** 0 for the calling thread, from 1 for workers: whose scratch memory it uses. */
  readonly thread: number;
  readonly runnerOf: (kernel: number) => (record: number, scratch: number) => void;
}

/** Joins the open phase, if there is one, and takes tasks until none is left. Refers to nothing but its argument. */
export function takeTasks({ control, words, recordBytes, thread, runnerOf }: ThreadContext): void {
  Atomics.add(control, words.active, 1);
  try {
    for (;;) {
      const left = Atomics.sub(control, words.left, 1);
      if (left <= 0) break;
      const run = runnerOf(control[words.kernel]);
      const task = control[words.count] - left;
      run(
        (control[words.records] + task * recordBytes) >>> 0,
        (control[words.scratch] + thread * control[words.scratchBytes]) >>> 0,
      );
    }
  } catch {
    Atomics.store(control, words.failed, 1);
    Atomics.store(control, words.left, 0);
  } finally {
    Atomics.sub(control, words.active, 1);
    Atomics.notify(control, words.active);
  }
}

/** Functions of a kernel by task, as a worker makes them. Refers to nothing but its arguments. */
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
