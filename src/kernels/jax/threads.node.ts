/**
 * @file Threads for jax-js in Node: a `Worker` global over `node:worker_threads` that understands blob URLs, which is what
 * jax-js's pool starts its workers from. A worker keeps the process alive only while it owes an answer.
 */
import { resolveObjectURL } from "node:buffer";
import { Worker as Thread } from "node:worker_threads";

/** Runs the text of the first message as a classic worker script, then delivers messages to it. */
const bootstrap = `
const { parentPort } = require("node:worker_threads");
parentPort.once("message", (source) => {
  globalThis.self = globalThis;
  globalThis.postMessage = (message) => parentPort.postMessage(message);
  (0, eval)(source);
  parentPort.on("message", (data) => globalThis.onmessage?.({ data }));
});
`;

let started = 0;

/** The part of a browser's Worker that jax-js uses: it posts messages, and gets exactly one answer to each. */
class BlobWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onerror: ((event: { readonly message: string }) => void) | null = null;
  readonly #thread: Thread;
  /** Messages wait for the script, which a blob hands out only asynchronously. */
  readonly #script: Promise<void>;
  #owed = 0;

  constructor(url: string | URL) {
    started++;
    this.#thread = new Thread(bootstrap, { eval: true });
    this.#thread.unref();
    this.#thread.on("message", (data: unknown) => {
      if (--this.#owed === 0) this.#thread.unref();
      this.onmessage?.({ data });
    });
    this.#thread.on("error", ({ message }) => this.onerror?.({ message }));
    this.#script = this.#run(String(url));
  }

  postMessage(message: unknown): void {
    if (this.#owed++ === 0) this.#thread.ref();
    void this.#script.then(() => this.#thread.postMessage(message));
  }

  terminate(): void {
    void this.#thread.terminate();
  }

  async #run(url: string): Promise<void> {
    const script = await resolveObjectURL(url)?.text();
    if (script === undefined) this.onerror?.({ message: `no blob behind ${url}` });
    else this.#thread.postMessage(script);
  }
}

/** Workers that jax-js will find when it is loaded. */
export interface ProvidedWorkers {
  /** How many have been started so far. */
  readonly started: () => number;
  /** Takes the `navigator` of {@link provideWorkers} away again; jax-js reads it while it is loaded only. */
  readonly restoreNavigator: () => void;
}

/**
 * Sets the globals by which jax-js decides for workers while it is loaded: `Worker`, which stays, as the pool starts
 * lazily, and a `navigator` that says how many there will be.
 *
 * @param threads - how many workers the pool will have
 */
export function provideWorkers(threads: number): ProvidedWorkers {
  const own = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const define = (name: string, value: unknown): void => {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  };
  define("Worker", BlobWorker);
  define("navigator", { userAgent: "node", hardwareConcurrency: threads });
  return {
    started: () => started,
    restoreNavigator: () => {
      if (own === undefined) Reflect.deleteProperty(globalThis, "navigator");
      else Object.defineProperty(globalThis, "navigator", own);
    },
  };
}
