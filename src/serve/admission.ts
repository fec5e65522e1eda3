/**
 * @file Which requests may compute. A few run beside each other, a few more wait, and the rest are told to come again; a client that goes
 * away gives its place back, wherever it is.
 */
import { clientGone, RequestError } from "./request-error.ts";

/** How many requests may be there. */
export interface AdmissionLimits {
  readonly running: number;
  readonly waiting: number;
}

/** A request that runs. */
export interface Job {
  /** Aborted with a `RequestError` when the client is gone or the server must end. */
  readonly signal: AbortSignal;
  abort(reason: RequestError): void;
  /** Gives the place back, once. */
  end(): void;
}

interface Waiting {
  readonly enter: () => void;
  readonly refuse: (reason: RequestError) => void;
}

/** The places of a server. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #jobs: Set<Job> = new Set();
  readonly #waiting: Set<Waiting> = new Set();
  readonly #onIdle: (() => void)[] = [];
  #isStopping = false;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#jobs.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /**
   * Waits for a place.
   *
   * @param client - aborted when the client goes away
   * @throws RequestError 429 where the queue is full, 503 where the server stops, 499 where the client is gone
   */
  async admit(client: AbortSignal): Promise<Job> {
    if (this.#isStopping) throw stopping();
    if (client.aborted) throw gone();
    if (this.#jobs.size < this.#limits.running) return this.#begin(client);
    if (this.#waiting.size >= this.#limits.waiting) throw this.#full();
    return new Promise((resolve, reject) => {
      const leave = (): void => waiting.refuse(gone());
      const waiting: Waiting = {
        enter: () => {
          client.removeEventListener("abort", leave);
          this.#waiting.delete(waiting);
          resolve(this.#begin(client));
        },
        refuse: (reason) => {
          client.removeEventListener("abort", leave);
          this.#waiting.delete(waiting);
          reject(reason);
        },
      };
      client.addEventListener("abort", leave);
      this.#waiting.add(waiting);
    });
  }

  /** Lets nobody in any more; those who wait are refused, those who run go on. */
  stop(): void {
    this.#isStopping = true;
    for (const waiting of this.#waiting) waiting.refuse(stopping());
  }

  /** Ends those who run. */
  abortAll(): void {
    for (const job of this.#jobs) job.abort(stopping());
  }

  /** Resolves when nobody runs. */
  async idle(): Promise<void> {
    if (this.#jobs.size === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  #begin(client: AbortSignal): Job {
    const controller = new AbortController();
    const leave = (): void => controller.abort(gone());
    client.addEventListener("abort", leave);
    const job: Job = {
      signal: controller.signal,
      abort: (reason) => controller.abort(reason),
      end: () => {
        if (!this.#jobs.delete(job)) return;
        client.removeEventListener("abort", leave);
        const [next] = this.#waiting;
        if (next !== undefined) next.enter();
        else if (this.#jobs.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
      },
    };
    this.#jobs.add(job);
    return job;
  }

  #full(): RequestError {
    const { running, waiting } = this.#limits;
    return new RequestError(
      429,
      "rate_limit_exceeded",
      `Cannot answer now as at most ${running} requests run and ${waiting} wait: all places are taken. Try again in a moment`,
      { headers: { "Retry-After": "1" } },
    );
  }
}

/** The reason of a request whose client is gone. */
export function gone(): RequestError {
  return new RequestError(
    clientGone,
    "client_gone",
    "Cannot go on as the client must wait for the answer: the connection was closed. Send the request again",
  );
}

/** The reason of a request that a stop of the server refuses or ends. */
export function stopping(): RequestError {
  return new RequestError(
    503,
    "stopping",
    "Cannot answer as the server must be running: it is stopping. Send the request again when it is back",
    { headers: { Connection: "close", "Retry-After": "5" } },
  );
}
