/** @file One `serve`: opens a model, listens, answers until it is stopped, and then lets running requests finish. */
import type { LanguageModel } from "../../language/open-model.node.ts";
import type { TextModel } from "../../language/index.ts";
import type { ServeOptions } from "../../serve/app.ts";
import type { Listener } from "../../serve/listen.node.ts";
import type { ServedModel } from "../../serve/served-model.ts";
import { texts as common } from "../dictionary/common.ts";
import { texts as generateTexts } from "../dictionary/generate.ts";
import { texts } from "../dictionary/serve.ts";
import { exitCodes } from "../exit-codes.ts";
import { loadTexts, openModel, readLoadOptions } from "../generate/load.ts";
import { listenForInterruption } from "../interruption.ts";
import { type Session } from "../session.ts";
import { exampleCall, requestLine } from "./lines.ts";
import { listenAt, type Place, readPlace } from "./place.ts";
import { type ServeFlags } from "./options.ts";

/** Without `--grace`. */
const usualGraceMs = 10_000;
/** A client that takes nothing of its stream for so long is gone. */
const stallMs = 120_000;

const probes: ReadonlySet<string> = new Set(["/health", "/metrics"]);

/** Serves what the flags name until Ctrl-C or SIGTERM. */
export async function serveModel(
  flags: ServeFlags,
  session: Session,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  // Refused before a model is read.
  const place = await readPlace(flags, environment);
  const graceMs = flags.grace ?? usualGraceMs;
  let running: (() => number) | undefined;
  const interruption = listenForInterruption(() => {
    const isLoading = running === undefined;
    session.tell(isLoading ? generateTexts.stopping : texts.stopping(running?.() ?? 0, graceMs / 1000));
  });
  const { stop: signal } = interruption;
  let model: LanguageModel | undefined;
  let listener: Listener | undefined;
  try {
    model = await openModel(flags, session, signal);
    listener = await listenAt(flags);
    const onApp = (count: () => number): void => {
      running = count;
    };
    await serveAt({ listener, model, place, flags, graceMs, signal, onApp }, session);
  } catch (error) {
    await listener?.close(0);
    if (!signal.aborted) throw error;
    session.exitCode = exitCodes.interrupted;
  } finally {
    interruption.close();
    await model?.close();
  }
}

/** What is served, where and until when. */
interface Serving {
  readonly listener: Listener;
  readonly model: LanguageModel;
  readonly place: Place;
  readonly flags: ServeFlags;
  readonly graceMs: number;
  readonly signal: AbortSignal;
  /** Is given how to count the requests that run. */
  readonly onApp: (running: () => number) => void;
}

async function serveAt(serving: Serving, session: Session): Promise<void> {
  const { listener, model, place, flags, signal } = serving;
  const { serveApp } = await import("../../serve/app.ts");
  const { modelAttentions } = await import("../../serve/attention-weights.ts");
  const { longestTokenOf } = await import("../../serve/encode-prompt.ts");
  const options = await readLoadOptions(model, flags);
  const loaded = await loadTexts(model, flags, session, options);
  const { layout, tokenizer, chat, endTokens } = model;
  const { attention, engine } = options;
  const config = attention === undefined ? layout.config : { ...layout.config, attention };
  const attentions = modelAttentions(config, () => model.load(options), engine);
  let requests = 0;
  try {
    signal.throwIfAborted();
    const served: ServedModel = {
      id: place.id,
      contextLength: config.maximumLength,
      tokenizer,
      longestToken: longestTokenOf(model),
      chat,
      endTokens,
      texts: loaded,
      attentions,
    };
    const app = serveApp(served, {
      ...appOptions(place, flags, session),
      onRequest(request) {
        requests += 1;
        // Probes come every few seconds.
        const write = probes.has(request.route) ? session.detail : session.tell;
        write(requestLine(request, new Date()));
      },
    });
    serving.onApp(() => app.load.running);
    listener.serve(app);
    await session.print(`${listener.address}\n`);
    session.tell(texts.serving(place.id, listener.address));
    session.tell(common.next(exampleCall(listener.address, { ...place, isChat: chat !== undefined })));
    await aborted(signal);
    await listener.close(serving.graceMs);
    session.tell(texts.stopped(requests));
    const adapted = flags.adapter === undefined ? [] : ["--adapter", flags.adapter];
    session.next("generate", "--model", flags.model, ...adapted, "--prompt", "Once upon a time");
  } finally {
    await disposeAll(loaded, attentions);
  }
}

function appOptions({ token }: Place, flags: ServeFlags, session: Session): ServeOptions {
  return {
    token,
    origins: flags.cors ?? [],
    seed: flags.seed,
    limits: {
      running: flags.maxConcurrent,
      waiting: flags.maxQueue,
      bodyBytes: flags.maxBody,
      stallMs,
    },
    onError: (error) => session.tell(texts.failed(errorText(error, session))),
  };
}

async function disposeAll(loaded: TextModel, attentions: { dispose(): Promise<void> }): Promise<void> {
  loaded.dispose();
  await attentions.dispose();
}

function errorText(error: unknown, { verbosity }: Session): string {
  if (!(error instanceof Error)) return String(error);
  return verbosity === "verbose" ? (error.stack ?? error.message) : error.message;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
