/** @file What a server measures of itself. */
import { type Admission } from "./admission.ts";
import { type Counter, type Histogram, Registry } from "./prometheus.ts";

/** A request that is over. */
export interface FinishedRequest {
  readonly method: string;
  /** The pattern of its path, or `other`: paths that nobody serves must not fill the memory. */
  readonly route: string;
  readonly status: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Until its last byte was handed over. */
  readonly timeMs: number;
}

const secondBounds = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** The measurements of a server. */
export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #seconds: Histogram;
  readonly #firstSeconds: Histogram;
  readonly #promptTokens: Counter;
  readonly #newTokens: Counter;

  constructor(admission: Pick<Admission, "running" | "waiting">) {
    const registry = this.#registry;
    this.#requests = registry.counter(
      "qklab_http_requests_total",
      "Requests that are over, by route and status.",
    );
    this.#seconds = registry.histogram(
      "qklab_http_request_seconds",
      "Seconds from the request to the end of its answer, streams included.",
      secondBounds,
    );
    this.#firstSeconds = registry.histogram(
      "qklab_time_to_first_token_seconds",
      "Seconds from the request to the first piece of its answer.",
      secondBounds,
    );
    this.#promptTokens = registry.counter("qklab_prompt_tokens_total", "Tokens of prompts.");
    this.#newTokens = registry.counter("qklab_generated_tokens_total", "Tokens that were generated.");
    // Zero is a measurement too.
    for (const counter of [this.#promptTokens, this.#newTokens]) counter.add({}, 0);
    registry.gauge("qklab_requests_running", "Requests that compute.", () => admission.running);
    registry.gauge("qklab_requests_waiting", "Requests that wait for a place.", () => admission.waiting);
  }

  finished({ method, route, status, promptTokens, newTokens, timeMs }: FinishedRequest): void {
    this.#requests.add({ method, route, status });
    this.#seconds.observe({ route }, timeMs / 1000);
    this.#promptTokens.add({}, promptTokens);
    this.#newTokens.add({}, newTokens);
  }

  firstPiece(route: string, timeMs: number): void {
    this.#firstSeconds.observe({ route }, timeMs / 1000);
  }

  print(): string {
    return this.#registry.print();
  }
}
