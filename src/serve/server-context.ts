/** @file What the endpoints of one server share, and what each request carries with it. */
import { type Context } from "hono";
import { type Admission, type Job } from "./admission.ts";
import { eventStream, eventStreamHeaders } from "./event-stream.ts";
import { type RequestError } from "./request-error.ts";
import { type ServerMetrics } from "./server-metrics.ts";
import { type ServedModel } from "./served-model.ts";
import { type Turns } from "./turns.ts";

/** Bounds on what clients may ask. */
export interface ServerLimits {
  /** Requests that compute beside each other. */
  readonly running: number;
  /** Requests that wait for a place; more are told to come again. */
  readonly waiting: number;
  readonly bodyBytes: number;
  /** A client that takes nothing of its stream for so long is gone. */
  readonly stallMs: number;
}

/** What endpoints share. */
export interface ServerContext {
  readonly model: ServedModel;
  readonly limits: ServerLimits;
  readonly admission: Admission;
  readonly turns: Turns;
  readonly metrics: ServerMetrics;
  /** Seconds since 1970 at which the server began. */
  readonly startedAt: number;
  readonly nextSeed: () => number;
  readonly nextId: (prefix: string) => string;
  readonly onError: (error: unknown) => void;
}

/** What is counted of a request while it runs. */
export interface RequestRecord {
  readonly startMs: number;
  promptTokens: number;
  newTokens: number;
  /** Of a stream: when it is over, with the status of what cut it off. */
  ended: Promise<number | undefined> | undefined;
}

/** Variables of a request. */
export interface ServerEnvironment {
  readonly Variables: { readonly record: RequestRecord };
}

export type RequestContext = Context<ServerEnvironment>;

/** Seconds since 1970, now. */
export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** Runs a request on a place of its own, which it gives back when it has answered. */
export async function onPlace<Result>(
  { admission }: Pick<ServerContext, "admission">,
  c: RequestContext,
  work: (job: Job) => Promise<Result>,
): Promise<Result> {
  const job = await admission.admit(c.req.raw.signal);
  try {
    return await work(job);
  } finally {
    job.end();
  }
}

/** Answers with a stream on a place of its own, which it gives back when the stream is over. */
export async function streamOnPlace(
  { admission, limits, onError }: Pick<ServerContext, "admission" | "limits" | "onError">,
  c: RequestContext,
  documents: (job: Job) => AsyncGenerator<unknown, void, undefined>,
): Promise<Response> {
  const job = await admission.admit(c.req.raw.signal);
  const { stallMs } = limits;
  const record = c.get("record");
  const { promise, resolve } = withResolver<number | undefined>();
  record.ended = promise;
  const onEnd = (reason: RequestError | undefined): void => resolve(reason?.status);
  const stream = eventStream(documents(job), { job, stallMs, onEnd, onError });
  return c.body(stream, 200, { ...eventStreamHeaders });
}

/** A promise that is resolved from outside. */
function withResolver<Value>(): {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
} {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((own) => {
    resolve = own;
  });
  return { promise, resolve };
}

/** Tokens of an answer, as OpenAI counts them. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export function usageOf({ promptTokens, newTokens }: RequestRecord): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: newTokens,
    total_tokens: promptTokens + newTokens,
  };
}
