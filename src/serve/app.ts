/**
 * @file The server as one function from requests to answers, wherever it runs: OpenAI's endpoints, the weights of attentions, health
 * and metrics, behind its guards and limits.
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import { methodNotAllowed } from "hono/method-not-allowed";
import { Admission } from "./admission.ts";
import { answerAttention } from "./attention.ts";
import { answerChat } from "./chat-completions.ts";
import { answerCompletion } from "./completions.ts";
import { seedsOf } from "./generation-fields.ts";
import { type GuardOptions, requireOwnMachine, requireToken } from "./guards.ts";
import { prometheusType } from "./prometheus.ts";
import { asRequestError, errorBody, RequestError, unknownModel } from "./request-error.ts";
import {
  nowSeconds,
  type RequestRecord,
  type ServerContext,
  type ServerEnvironment,
  type ServerLimits,
} from "./server-context.ts";
import { type FinishedRequest, ServerMetrics } from "./server-metrics.ts";
import { type ServedModel } from "./served-model.ts";
import { Turns } from "./turns.ts";

/** How a model is served. */
export interface ServeOptions extends GuardOptions {
  readonly limits: ServerLimits;
  /** Of the answers to requests that bring no seed. */
  readonly seed: number;
  /** Told of every request that is over. */
  readonly onRequest?: (request: FinishedRequest) => void;
  /** Told of what should not fail. */
  readonly onError?: (error: unknown) => void;
}

/** A server, to be given requests. */
export interface ServeApp {
  fetch(request: Request): Response | Promise<Response>;
  /** Lets no new request compute; those that run go on. */
  stop(): void;
  /** Ends those that run. */
  abort(): void;
  /** Resolves when none runs. */
  idle(): Promise<void>;
  /** Requests that compute, and those that wait for it. */
  readonly load: { readonly running: number; readonly waiting: number };
}

/** Serves a model. */
export function serveApp(model: ServedModel, options: ServeOptions): ServeApp {
  const server = contextOf(model, options);
  const { admission, metrics } = server;
  const app = new Hono<ServerEnvironment>();
  const patterns = new Set<string>();

  app.use(async (c, next) => {
    const record: RequestRecord = {
      startMs: performance.now(),
      promptTokens: 0,
      newTokens: 0,
      ended: undefined,
    };
    c.set("record", record);
    await next();
    const over = (status: number): void => {
      const { promptTokens, newTokens, startMs } = record;
      const finished = {
        method: methods.has(c.req.method) ? c.req.method : "other",
        route: routeOf(c.req.path, patterns),
        status,
        promptTokens,
        newTokens,
      };
      const request = { ...finished, timeMs: performance.now() - startMs };
      metrics.finished(request);
      options.onRequest?.(request);
    };
    if (record.ended === undefined) over(c.res.status);
    else void record.ended.then((cut) => over(cut ?? c.res.status));
  });
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, allowed) => refuse(badMethod(c.req.method, c.req.path, allowed)),
    }),
  );
  app.use(async (c, next) => {
    requireOwnMachine(c.req.raw, options);
    await next();
  });
  const { origins = [] } = options;
  if (origins.length > 0) {
    const [allowHeaders, allowMethods] = [
      ["Authorization", "Content-Type"],
      ["GET", "POST"],
    ];
    app.use(cors({ origin: [...origins], allowHeaders, allowMethods }));
  }
  app.use(async (c, next) => {
    if (c.req.path !== "/health") await requireToken(c.req.raw, options);
    await next();
  });

  const described = describe(server);
  app.get("/health", (c) => {
    const load = { model: model.id, running: admission.running, waiting: admission.waiting };
    return admission.isStopping
      ? c.json({ status: "stopping", ...load }, 503)
      : c.json({ status: "ok", ...load });
  });
  app.get("/metrics", (c) => c.body(metrics.print(), 200, { "Content-Type": prometheusType }));
  app.get("/v1/models", (c) => c.json({ object: "list", data: [described] }));
  app.get("/v1/models/:id{.+}", (c) => {
    const id = c.req.param("id");
    if (id === model.id) return c.json(described);
    throw unknownModel(id, model.id);
  });
  app.post("/v1/completions", (c) => answerCompletion(server, c));
  app.post("/v1/chat/completions", (c) => answerChat(server, c));
  app.post("/v1/attention", (c) => answerAttention(server, c));
  for (const { path } of app.routes) if (!/[*:]/.test(path)) patterns.add(path);

  app.notFound((c) => refuse(notFound(c.req.path, [...patterns])));
  app.onError((error) => {
    server.onError(error);
    return refuse(asRequestError(error));
  });
  return {
    fetch: (request) => app.fetch(request),
    stop: () => admission.stop(),
    abort: () => admission.abortAll(),
    idle: () => admission.idle(),
    get load() {
      return { running: admission.running, waiting: admission.waiting };
    },
  };
}

/** The pattern of a path: what clients make up must not fill the memory of the measurements. */
function routeOf(path: string, patterns: ReadonlySet<string>): string {
  if (patterns.has(path)) return path;
  return path.startsWith("/v1/models/") ? "/v1/models/{id}" : "other";
}

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

function contextOf(model: ServedModel, { limits, seed, onError }: ServeOptions): ServerContext {
  const admission = new Admission(limits);
  const startedAt = nowSeconds();
  let requests = 0;
  return {
    model,
    limits,
    admission,
    turns: new Turns(),
    metrics: new ServerMetrics(admission),
    startedAt,
    nextSeed: seedsOf(seed),
    nextId: (prefix) => `${prefix}-${startedAt.toString(36)}-${(requests++).toString(36)}`,
    onError(error) {
      // A refusal is the request's own affair.
      if (asRequestError(error) !== error && asRequestError(error).status >= 500) onError?.(error);
    },
  };
}

function describe({
  model,
  startedAt,
}: Pick<ServerContext, "model" | "startedAt">): Readonly<Record<string, unknown>> {
  const { id, contextLength, chat, attentions } = model;
  return {
    id,
    object: "model",
    created: startedAt,
    owned_by: "qklab",
    max_model_len: contextLength,
    qklab: {
      chat: chat !== undefined,
      layers: attentions.selectors.map((heads) => [...new Set(heads)]),
      heads: attentions.selectors[0].length,
    },
  };
}

function refuse(error: RequestError): Response {
  const { status, headers } = error;
  return Response.json(errorBody(error), { status, headers: { ...headers } });
}

function badMethod(method: string, path: string, allowed: readonly string[]): RequestError {
  const list = allowed.join(", ");
  return new RequestError(
    405,
    "method_not_allowed",
    `Cannot answer ${method} ${path} as this path takes ${list}: ${method}. Send ${allowed[0]}`,
    { headers: { Allow: list } },
  );
}

function notFound(path: string, known: readonly string[]): RequestError {
  return new RequestError(
    404,
    "not_found",
    `Cannot answer as there must be something at the path: ${path}. There are ${known.join(", ")}`,
  );
}

/** The answer of a server whose model is not there yet. */
export function startingAnswer(): Response {
  return refuse(
    new RequestError(
      503,
      "starting",
      "Cannot answer as the model must be loaded: it is on its way. Send the request again",
      {
        headers: { "Retry-After": "1" },
      },
    ),
  );
}
