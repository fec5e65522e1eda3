/**
 * @file Asking the hub: redirects that never carry the token to another host, silence that ends in a timeout, answers that mean no,
 * and another try where one may help.
 */
import { MissingError } from "../base/errors.ts";
import { type HubName, printHubName } from "./hub-name.ts";

/** Who asks whom. */
export interface HubConnection {
  readonly endpoint: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
  /** The longest silence, before the head of an answer and within its body. */
  readonly silenceMs: number;
  /** Waits before another try. */
  readonly pause: (timeMs: number) => Promise<void>;
}

/** Something that may go well when it is tried again. */
export class TransientFailure extends Error {
  /** What the hub asked to wait, where it did. */
  readonly waitMs: number | undefined;
  /** What to throw when trying again has not helped. */
  readonly error: MissingError;

  constructor(error: MissingError, waitMs?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.waitMs = waitMs;
  }
}

/** An answer, and the watch over its silence. */
export interface HubAnswer {
  readonly response: Response;
  /** Call after every part of the body: the time for silence begins anew. */
  readonly heard: () => void;
  /** Ends the watch, and the connection where the body was not read to its end. */
  readonly close: () => void;
}

const mostRedirects = 10;

/**
 * Sends one request and follows its redirects. A HEAD stops at the first redirect to another host: what it says of the file is said
 * by the hub.
 *
 * @param subject - for messages
 * @throws TransientFailure where the network fails or is silent
 * @throws MissingError `hub-protocol` for redirects without end
 */
export async function askHub(
  connection: HubConnection,
  subject: string,
  address: string,
  options: { readonly method: "GET" | "HEAD"; readonly headers?: Readonly<Record<string, string>> },
): Promise<HubAnswer> {
  const { endpoint, token, signal, silenceMs } = connection;
  const home = new URL(endpoint).origin;
  const watch = new AbortController();
  let timer = setTimeout(() => watch.abort(new Error(`silence for ${silenceMs / 1000} s`)), silenceMs);
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => watch.abort(new Error(`silence for ${silenceMs / 1000} s`)), silenceMs);
  };
  const close = (): void => {
    clearTimeout(timer);
    watch.abort();
  };
  try {
    let at = new URL(address);
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const isHome = at.origin === home;
      const response = await fetch(at, {
        method: options.method,
        redirect: "manual",
        signal: signal === undefined ? watch.signal : AbortSignal.any([signal, watch.signal]),
        headers: {
          "user-agent": "qklab",
          // Ranges and lengths are of the file, not of its compressed form.
          "accept-encoding": "identity",
          ...options.headers,
          ...(token !== undefined && isHome ? { authorization: `Bearer ${token}` } : {}),
        },
      });
      heard();
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null)
        return { response, heard, close };
      const next = new URL(location, at);
      if (options.method === "HEAD" && next.origin !== at.origin) return { response, heard, close };
      await response.body?.cancel();
      at = next;
    }
  } catch (cause) {
    close();
    throw networkFailure(connection, subject, cause);
  }
  close();
  throw new MissingError(
    "hub-protocol",
    `Cannot fetch ${subject} as redirects must come to an end: more than ${mostRedirects}. Look at HF_ENDPOINT`,
  );
}

/** What a failure of the network is: the caller's own wish, or something to try again. */
export function networkFailure(
  { endpoint, signal }: HubConnection,
  subject: string,
  cause: unknown,
): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (cause instanceof MissingError || cause instanceof TransientFailure) return cause;
  return new TransientFailure(
    new MissingError(
      "hub-unreachable",
      `Cannot fetch ${subject} as ${endpoint} must answer: ${problemOf(cause)}. ` +
        "Look at the network, set HF_ENDPOINT to a mirror, or give a folder that holds the model",
      { cause },
    ),
  );
}

/** fetch says "fetch failed"; the reason lies beneath. */
function problemOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { cause: beneath } = cause;
  if (beneath instanceof AggregateError && beneath.errors.length > 0) return problemOf(beneath.errors[0]);
  return beneath instanceof Error ? problemOf(beneath) : cause.message;
}

/**
 * Refuses an answer that is not one of those expected.
 *
 * @throws TransientFailure for 408, 429 and 5xx
 * @throws MissingError `hub-denied`, `hub-missing`, or `hub-protocol` for any other
 */
export function requireStatus(
  connection: HubConnection,
  name: HubName,
  subject: string,
  response: Response,
  expected: readonly number[],
): void {
  const { status, headers } = response;
  if (expected.includes(status)) return;
  const code = headers.get("x-error-code") ?? "";
  const said = headers.get("x-error-message");
  const seen = said === null ? `status ${status}` : `status ${status}, ${said.replace(/\.$/, "")}`;
  const page = `${connection.endpoint}/${name.repository}`;
  const refusal = (kind: string, rule: string, next: string): MissingError =>
    new MissingError(kind, `Cannot fetch ${subject} as ${rule}: ${seen}. ${next}`);

  if (status === 408 || status === 429 || status >= 500) {
    const next = status === 429 ? "Wait a while, or set HF_TOKEN" : "Try again later";
    throw new TransientFailure(
      refusal("hub-unreachable", "the hub must answer", next),
      retryAfterMs(headers),
    );
  }
  if (code === "GatedRepo") {
    throw refusal(
      "hub-denied",
      "its owner must have granted you access",
      `Ask for it at ${page}, and set HF_TOKEN`,
    );
  }
  if (code === "RevisionNotFound") {
    throw refusal(
      "hub-missing",
      `${name.repository} must have the revision ${name.revision}`,
      `See ${page}/tree/main`,
    );
  }
  if (code === "EntryNotFound") {
    throw refusal("hub-missing", "the file must be there", `See ${page}/tree/${name.revision}`);
  }
  if (status === 401 || status === 403) {
    const next =
      connection.token === undefined
        ? "Look at the name, and set HF_TOKEN where the model is private"
        : "Look at the name, and whether the token may read it";
    throw refusal("hub-denied", "it must exist and be open to you", next);
  }
  if (status === 404)
    throw refusal("hub-missing", "it must exist", `Look at the name: ${printHubName(name)}`);
  throw refusal("hub-protocol", "the hub must answer as Hugging Face's does", "Look at HF_ENDPOINT");
}

/** Seconds, or a date. */
function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : undefined;
}

const mostTries = 5;
const firstPauseMs = 500;
/** A hub that asks for more patience than this is told to the person instead. */
const longestPauseMs = 120_000;

/**
 * Tries until it goes well, with longer and longer pauses.
 *
 * @param act - throws TransientFailure for what may be tried again
 * @param progress - a number that grows while tries get somewhere: such a try does not count
 * @throws what the last try threw
 */
export async function withRetries<Value>(
  connection: HubConnection,
  act: () => Promise<Value>,
  progress: () => number = () => 0,
): Promise<Value> {
  for (let tries = 1; ; tries++) {
    const before = progress();
    try {
      return await act();
    } catch (failure) {
      if (!(failure instanceof TransientFailure)) throw failure;
      if (progress() > before) tries = 1;
      const waitMs = failure.waitMs ?? firstPauseMs * 2 ** (tries - 1);
      if (tries >= mostTries || waitMs > longestPauseMs) throw failure.error;
      await connection.pause(waitMs).catch((cause: unknown) => {
        connection.signal?.throwIfAborted();
        throw cause;
      });
      connection.signal?.throwIfAborted();
    }
  }
}
