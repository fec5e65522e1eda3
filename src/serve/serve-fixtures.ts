/** @file What tests of the server share: models that are served, and how they are asked. */
import { memoryWeights } from "../checkpoints/index.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { startJax } from "../kernels/jax/start.ts";
import { loadDecoder, loadInference, readDecoderLayout, type TextModel } from "../language/index.ts";
import { textsOf } from "../language/text-session.ts";
import { type LayerAttentions } from "../models/index.ts";
import { chatTemplate, huggingFaceTokenizer, type Tokenizer } from "../text/index.ts";
import { byteLevelTokenizer } from "../text/tokenizer-fixtures.ts";
import { laidConfig, laidTemplate, laidTensors } from "../language/laid-fixtures.ts";
import { serveApp, type ServeApp, type ServeOptions } from "./app.ts";
import { modelAttentions } from "./attention-weights.ts";
import { longestTokenOf } from "./encode-prompt.ts";
import { type ServedModel } from "./served-model.ts";

/** Byte-level: 0 … 255 are bytes, 262 ends a text. */
export const laidTokenizer: Tokenizer = huggingFaceTokenizer({
  tokenizer: byteLevelTokenizer(),
  config: { eos_token: "<|im_end|>" },
});

/** The model of test/laid-model.ts, served by an engine of one thread: `h` is followed by 天你 and the end, x and y by each other. */
export async function servedLaidModel(
  change: Readonly<Record<string, unknown>> = {},
  attention?: LayerAttentions,
): Promise<ServedModel & { readonly engine: WasmEngine }> {
  await startJax();
  const layout = readDecoderLayout({ ...laidConfig, ...change });
  const weights = memoryWeights(laidTensors());
  const engine = new WasmEngine();
  const options = { engine, ...(attention === undefined ? {} : { attention }) };
  const config = attention === undefined ? layout.config : { ...layout.config, attention };
  const texts = textsOf(await loadInference(weights, layout, options));
  return {
    engine,
    id: "laid",
    contextLength: layout.config.maximumLength,
    tokenizer: laidTokenizer,
    longestToken: longestTokenOf({ tokenizer: laidTokenizer }),
    chat: chatTemplate({}, laidTemplate),
    endTokens: [262],
    texts,
    attentions: modelAttentions(config, () => loadDecoder(weights, layout, options), engine),
  };
}

/** A model that only says `y` and `x` in turn, and what was done with its texts. */
export interface ScriptedModel extends ServedModel {
  /** Texts that were begun and are not disposed. */
  readonly open: number;
  /** Tokens that were taken. */
  readonly taken: number;
}

/** @param onTake - awaited before every token, with how many were taken */
export function scriptedModel(
  onTake: (taken: number) => Promise<void> | void = () => undefined,
  begin: () => void = () => undefined,
): ScriptedModel {
  const counts = { open: 0, taken: 0, computing: 0 };
  const texts: Pick<TextModel, "begin"> = {
    begin(signal) {
      begin();
      counts.open += 1;
      let [length, isDisposed] = [0, false];
      const take = async (tokens: readonly number[]): Promise<Float32Array> => {
        signal?.throwIfAborted();
        if (isDisposed || counts.computing > 0) throw new Error("overlaps");
        counts.computing += 1;
        await onTake(counts.taken);
        counts.computing -= 1;
        length += tokens.length;
        counts.taken += tokens.length;
        const logits = new Float32Array(laidTokenizer.vocabularySize);
        logits[tokens.at(-1) === 0x78 ? 0x79 : 0x78] = 30;
        return logits;
      };
      return {
        maximumLength: 64,
        get length() {
          return length;
        },
        prefill: take,
        step: (token) => take([token]),
        dispose() {
          if (!isDisposed) counts.open -= 1;
          isDisposed = true;
        },
      };
    },
  };
  return {
    get open() {
      return counts.open;
    },
    get taken() {
      return counts.taken;
    },
    id: "scripted",
    contextLength: 64,
    tokenizer: laidTokenizer,
    longestToken: 12,
    chat: undefined,
    endTokens: [262],
    texts,
    attentions: {
      selectors: [["dot+causal"]],
      prepare: () => Promise.resolve(),
      weights: () => Promise.resolve([undefined]),
    },
  };
}

/** How a request is sent. */
interface AskInit {
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server that is asked without a socket. */
export interface AskedServer {
  readonly app: ServeApp;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  post(path: string, body: unknown, init?: AskInit): Promise<Response>;
  /** Of a POST, the document. */
  ask<Document>(path: string, body: unknown): Promise<Document>;
  /** Of a streamed POST, the documents, of which the last must be `[DONE]`. */
  stream<Document>(path: string, body: Readonly<Record<string, unknown>>): Promise<readonly Document[]>;
  /** A value of /metrics. */
  metric(name: string): Promise<number | undefined>;
}

export const limits: ServeOptions["limits"] = { running: 2, waiting: 1, bodyBytes: 10_000, stallMs: 60_000 };

/** Serves a model as its own machine sees it. */
export function askServer(model: ServedModel, options: Partial<ServeOptions> = {}): AskedServer {
  const app = serveApp(model, { limits, seed: 0, ...options });
  const at = (path: string): string => `http://127.0.0.1:8080${path}`;
  const authorization: Record<string, string> =
    options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  const get: AskedServer["get"] = async (path, headers = {}) =>
    app.fetch(new Request(at(path), { headers: { ...authorization, ...headers } }));
  const post: AskedServer["post"] = async (path, body, init = {}) =>
    app.fetch(
      new Request(at(path), {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        ...init,
        headers: { "content-type": "application/json", ...authorization, ...init.headers },
      }),
    );
  return {
    app,
    get,
    post,
    ask: async (path, body) => (await post(path, body)).json() as never,
    async stream(path, body) {
      const text = await (await post(path, { ...body, stream: true })).text();
      const events = text.split("\n\n").filter((event) => event !== "");
      const data = events.map((event) => event.replace(/^data: /, ""));
      if (data.pop() !== "[DONE]") throw new Error(`the stream was cut off: ${text.slice(-300)}`);
      return data.map((document) => JSON.parse(document)) as never;
    },
    async metric(name) {
      const text = await (await get("/metrics")).text();
      const line = text.split("\n").find((one) => one.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.slice(name.length + 1));
    },
  };
}
