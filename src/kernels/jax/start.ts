/**
 * @file Starting jax-js once per process: the iterator helpers that Node 20 lacks, the WebAssembly device, and in Node the
 * number of threads, which jax-js decides for good at the moment it is loaded. So this file loads it, and nothing here
 * imports it before.
 */
import { DomainError, UnsupportedError } from "../../base/errors.ts";

/** How to start jax-js. */
export interface StartOptions {
  /**
   * Threads that run kernels, in Node (default 1: everything runs on the calling thread). In a browser jax-js takes one
   * worker per processor where the page is cross-origin isolated, else one thread.
   */
  readonly threads?: number;
}

let started: Promise<number> | undefined;

/**
 * Makes jax-js ready; calling it again is free.
 *
 * More than one thread must be asked for before anything else has loaded jax-js (`qklab/jax` itself loads it), so programs
 * import this function from its own module, call it, and only then import the rest.
 *
 * @param options - `threads`: whole number ≥ 1
 * @throws DomainError `threads` for other numbers; UnsupportedError `threads` when jax-js is already running with
 *   another number, or cannot have more than one
 * @example
 * ```ts
 * import { startJax } from "qklab/jax";
 * await startJax();
 * ```
 */
export async function startJax({ threads }: StartOptions = {}): Promise<void> {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    throw new DomainError(
      "threads",
      `Cannot start jax-js as the number of threads must be a whole number ≥ 1: ${threads}. Pass 1, or the number of processors`,
    );
  }
  started ??= start(threads ?? 1);
  const running = await started;
  if (threads === undefined || threads === running) return;
  throw new UnsupportedError(
    "threads",
    `Cannot run jax-js with ${threads} threads as it was loaded with ${running}, and that is decided once. ` +
      "Call startJax({ threads }) before importing anything that uses jax-js",
  );
}

/** jax-js fills arrays of up to 128 numbers without a kernel, so without a thread. */
const enoughForAKernel = 1024;

async function start(threads: number): Promise<number> {
  await polyfillIterators();
  const workers = threads > 1 ? (await loadThreads(threads)).provideWorkers(threads) : undefined;
  const { defaultDevice, init, numpy } = await import("@jax-js/jax");
  workers?.restoreNavigator();
  await init("wasm");
  defaultDevice("wasm");
  if (workers === undefined) return 1;
  await numpy.zeros([enoughForAKernel]).data();
  return workers.started() === 0 ? 1 : threads;
}

/** Iterator helpers (`values().map(…)`) are native from Node 22 and in current browsers. */
async function polyfillIterators(): Promise<void> {
  const { Iterator } = globalThis as { Iterator?: { prototype: { map?: unknown } } };
  if (Iterator?.prototype.map === undefined) await import("core-js/actual/iterator/index.js");
}

/** Node's threads; browsers have workers of their own. */
function loadThreads(threads: number) {
  if (globalThis.process?.versions?.node !== undefined) return import("./threads.node.ts");
  throw new UnsupportedError(
    "threads",
    `Cannot start ${threads} threads here as a browser's jax-js takes one worker per processor of an isolated page by ` +
      "itself. Leave `threads` out",
  );
}
