/**
 * @file A trained language model by its name: its layout, its weights, its tokenizer and its chat template, wherever they lie. A name is
 * a Hugging Face folder or a file of weights in it, a model of llama2.c, the package `minimind`, or `hf:owner/name` on the hub.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { MissingError, UnsupportedError } from "../base/errors.ts";
import { type WeightSource } from "../checkpoints/index.ts";
import { minimindFolder } from "../checkpoints/minimind.node.ts";
import { type FoundWeights, openWeights } from "../checkpoints/open-weights.node.ts";
import { fetchModel, type FetchModelOptions } from "../hub/fetch-model.node.ts";
import { hubPrefix } from "../hub/hub-name.ts";
import { type Decoder, type DecoderConfig } from "../models/index.ts";
import { chatTemplate, huggingFaceTokenizer, type RenderChat, type Tokenizer } from "../text/index.ts";
import { type ModelLayout, readDecoderLayout } from "./layouts/index.ts";
import { findLlama2cTokenizer } from "./llama2c-files.node.ts";
import { loadDecoder, type LoadedModel, type LoadOptions } from "./load-decoder.ts";
import { loadInference } from "./load-inference.ts";
import { requireTokensInModel } from "./model-tokens.ts";
import { textModel, type TextModel, textsOf } from "./text-session.ts";

/** A trained model with what turns text into its tokens and back; its numbers are read by `load`. */
export interface LanguageModel {
  /** As it was asked for. */
  readonly name: string;
  readonly layout: ModelLayout<DecoderConfig>;
  readonly source: WeightSource;
  readonly tokenizer: Tokenizer;
  /** Undefined where the model has no chat form. */
  readonly chat: RenderChat | undefined;
  /** Tokens that end a text: the tokenizer's, and those of generation_config.json and config.json. */
  readonly endTokens: readonly number[];
  /** Why the cache was used without asking the hub, where the hub did not answer. */
  readonly unreachable?: string;
  /** @throws as `loadDecoder` */
  load(options?: LoadOptions): Promise<LoadedModel<Decoder>>;
  /**
   * Loads it for reading and writing texts: how those are computed is chosen here.
   *
   * @throws as `loadDecoder`
   */
  texts(options?: LoadOptions): Promise<TextModel>;
  /** Closes the files of the weights. */
  close(): Promise<void>;
}

/** How a model is found. */
export type OpenModelOptions = Pick<FetchModelOptions, "environment" | "onProgress" | "signal">;

/** The name of the package's model. */
const packagedModel = "minimind";

/**
 * Opens a language model; close it when done.
 *
 * @param name - a folder, a file of weights, `minimind`, or `hf:owner/name[@revision]`
 * @throws MissingError `model-missing` where there is nothing of that name, `model-file` where a file beside the weights is missing or
 *   no JSON, `package-missing`, and what `fetchModel`, `openWeights`, `readDecoderLayout`, `huggingFaceTokenizer` and `chatTemplate`
 *   throw
 * @throws DomainError `tokenizer-vocabulary` for a tokenizer of another model
 */
export async function openLanguageModel(
  name: string,
  options: OpenModelOptions = {},
): Promise<LanguageModel> {
  if (name === packagedModel) return openPlace(name, minimindFolder());
  if (!name.startsWith(hubPrefix)) return openPlace(name, name);
  const { folder, unreachable } = await fetchModel(name, options);
  const model = await openPlace(name, folder);
  return unreachable === undefined ? model : { ...model, unreachable };
}

async function openPlace(name: string, place: string): Promise<LanguageModel> {
  const isFolder = await stat(place).then(
    (found) => found.isDirectory(),
    (cause: unknown) => {
      throw missingModel(name, cause);
    },
  );
  const weights = await openWeights(place);
  try {
    const folder = isFolder ? place : folderOf(place);
    const parts = weights.format === "llama2c" ? await ofLlama2c(weights) : await ofFolder(weights, folder);
    requireTokensInModel(parts.tokenizer, parts.layout.config.vocabulary, name);
    return {
      name,
      ...parts,
      source: weights,
      load: (load) => loadDecoder(weights, parts.layout, load),
      texts: (load) => loadTexts(weights, parts.layout, load),
      close: () => weights.close(),
    };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

type ModelParts = Pick<LanguageModel, "layout" | "tokenizer" | "chat" | "endTokens">;

async function ofLlama2c(weights: FoundWeights): Promise<ModelParts> {
  const { config } = weights;
  const layout = readDecoderLayout({
    ...config,
    ...(weights.ropeLayout === "interleaved" ? { rope_interleaved: true } : {}),
  });
  const tokenizer = await findLlama2cTokenizer(weights.source, layout.config.vocabulary);
  const { begin, end } = tokenizer.specialTokens;
  // run.c ends a text where the next one begins, as its models were trained on texts that follow each other.
  const endTokens = [begin, end].filter((token) => token !== undefined);
  return { layout, tokenizer, chat: undefined, endTokens };
}

async function ofFolder(weights: FoundWeights, folder: string): Promise<ModelParts> {
  const config = await requireJson(folder, "config.json");
  const tokenizerConfig = await readJson(folder, "tokenizer_config.json");
  const tokenizer = huggingFaceTokenizer(
    { tokenizer: await requireJson(folder, "tokenizer.json"), config: tokenizerConfig },
    join(folder, "tokenizer.json"),
  );
  const template = await readText(join(folder, "chat_template.jinja"));
  const generation = await readJson(folder, "generation_config.json");
  const named = [generation, config].flatMap((from) => endTokensOf(from));
  const { end } = tokenizer.specialTokens;
  return {
    layout: readDecoderLayout(withOwnHead(config, weights)),
    tokenizer,
    chat: chatTemplate(tokenizerConfig, template),
    endTokens: [...new Set([...(end === undefined ? [] : [end]), ...named])],
  };
}

/** A quantised graph computes with a head of its own where it has one: rounded apart from the table, though the config calls them one. */
function withOwnHead(config: unknown, { format, tensors }: FoundWeights): unknown {
  const hasHead = tensors.has("lm_head.weight") && tensors.has("model.embed_tokens.weight");
  return format === "onnx" && hasHead ? { ...(config as object), tie_word_embeddings: false } : config;
}

function endTokensOf(config: unknown): readonly number[] {
  const ids = (config as { readonly eos_token_id?: unknown } | null | undefined)?.eos_token_id;
  return [ids].flat().filter((id): id is number => Number.isInteger(id));
}

/** Where the config of a file of weights lies. */
function folderOf(file: string): string {
  const folder = dirname(file);
  return file.endsWith(".onnx") && basename(folder) === "onnx" ? dirname(folder) : folder;
}

async function requireJson(folder: string, name: string): Promise<unknown> {
  const found = await readJson(folder, name);
  if (found !== undefined) return found;
  throw fileError(join(folder, name), "it must lie beside the weights", "it is not there");
}

/** Undefined where there is no such file. */
async function readJson(folder: string, name: string): Promise<unknown> {
  const path = join(folder, name);
  const text = await readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw fileError(path, "it must be JSON", (cause as Error).message.split("\n")[0], cause);
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw fileError(path, "it must be a readable file", message, cause);
  }
}

function fileError(path: string, rule: string, seen: string, cause?: unknown): MissingError {
  return new MissingError(
    "model-file",
    `Cannot read ${path} as ${rule}: ${seen}. Fetch it from where the weights came from`,
    cause === undefined ? {} : { cause },
  );
}

function missingModel(name: string, cause: unknown): MissingError {
  return new MissingError(
    "model-missing",
    `Cannot open the model ${JSON.stringify(name)} as it must be a folder, a file of weights, ${packagedModel} or ${hubPrefix}owner/name: ` +
      `${(cause as Error).message.split("\n")[0]}. Check the path, or write ${hubPrefix}owner/name to fetch it`,
    { cause },
  );
}

/** On an engine, in its memory; what that cannot hold, and everything without an engine, as a decoder. */
async function loadTexts(
  weights: WeightSource,
  layout: ModelLayout<DecoderConfig>,
  options: LoadOptions = {},
): Promise<TextModel> {
  const { engine } = options;
  if (engine === undefined) return textModel(await loadDecoder(weights, layout, options));
  try {
    return textsOf(await loadInference(weights, layout, { ...options, engine }));
  } catch (error) {
    if (!(error instanceof UnsupportedError) || error.code !== "inference-form") throw error;
    return { ...textModel(await loadDecoder(weights, layout, options)), byStages: error.message };
  }
}
