/** @file What a `swap` asks for: its plan, and what is made of it and refused before any weights are read: adapters, cells, questions. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { DomainError } from "../../base/index.ts";
import type { LanguageModel } from "../../language/open-model.node.ts";
import type { AdapterParts, SwapCell, SwapQuestions } from "../../swap/index.ts";
import type { SwapPlan } from "../../swap/plan.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/swap.ts";
import { encodePrompt } from "../generate/prompt.ts";
import { type SwapFlags } from "./options.ts";

/** An adapter that fits the model. */
export interface OpenAdapter {
  readonly folder: string;
  /** Of its files. */
  readonly hash: string;
  readonly parts: AdapterParts;
  /** The layers that it changes. */
  readonly layers: readonly number[];
}

/** A text to be measured on. */
export interface GivenText {
  readonly text: string;
  /** Of its file. */
  readonly name?: string;
}

/**
 * The text of a file of that name; the words themselves where there is none and they are no name.
 *
 * @throws CommandError `attention-alone` for places of an attention that is not given, before anything is read
 */
export async function givenText({
  eval: given = "",
  attention,
  layers,
  heads,
  eachLayer,
}: SwapFlags): Promise<GivenText> {
  const places = { "--layers": layers, "--heads": heads, "--each-layer": eachLayer };
  const alone = Object.entries(places).find(([, value]) => value !== undefined)?.[0];
  if (attention === undefined && alone !== undefined) {
    throw new CommandError("attention-alone", texts.placesAlone(alone));
  }
  try {
    return { text: await readFile(given, "utf8"), name: basename(given) };
  } catch (error) {
    if (/^\S+\.\w{1,8}$/.test(given)) throw error;
    return { text: given };
  }
}

/** The plan of new measurements. */
export async function planOf(
  flags: SwapFlags,
  { text, name }: GivenText,
  adapters: readonly OpenAdapter[],
): Promise<SwapPlan> {
  const { textFacts } = await import("../../swap/swap-folder.node.ts");
  const { model = "", attention = [], layers, heads, prompt } = flags;
  return {
    model,
    selectors: attention,
    adapters: adapters.map(({ folder, hash }) => ({ folder, hash })),
    ...(layers === undefined ? {} : { layers }),
    ...(heads === undefined ? {} : { heads }),
    eachLayer: flags.eachLayer ?? false,
    calibration: flags.calibrate,
    seed: flags.seed,
    text: textFacts(text, name),
    context: flags.context,
    tokens: flags.tokens,
    ...(prompt === undefined ? {} : { prompt }),
    newTokens: flags.newTokens,
    needleLength: flags.needles,
    needleLanguage: /\p{Script=Han}/u.test(text) ? "zh" : "en",
  };
}

/**
 * Reads adapters for a model.
 *
 * @throws as `readAdapter` and `changedLayers`
 */
export async function openAdapters(
  folders: readonly string[],
  { name, layout, source }: LanguageModel,
): Promise<readonly OpenAdapter[]> {
  const { adapterHash, readAdapter } = await import("../../language/adapter.node.ts");
  const { changedLayers } = await import("../../swap/index.ts");
  const opened: OpenAdapter[] = [];
  for (const folder of folders) {
    const parts = await readAdapter(folder, { name, layout, source });
    const layers = changedLayers({ config: layout.config }, parts);
    opened.push({ folder, hash: await adapterHash(folder), parts, layers });
  }
  return opened;
}

/**
 * Refuses adapters that are not the ones of a plan any more.
 *
 * @throws DomainError `adapter-changed`
 */
export function requirePlannedAdapters(plan: SwapPlan, adapters: readonly OpenAdapter[]): void {
  const changed = adapters.find(({ hash }, index) => hash !== plan.adapters[index]?.hash);
  if (changed === undefined) return;
  throw new DomainError(
    "adapter-changed",
    `Cannot go on with these swaps as their adapters must be as they were: ${changed.folder} holds another one now. ` +
      "Begin anew, in another folder",
  );
}

/**
 * The cells.
 *
 * @throws what `swapAttention` and `decoder` throw for one that does not fit the model
 */
export async function cellsFor(
  plan: SwapPlan,
  { layout: { config } }: LanguageModel,
  adapters: readonly OpenAdapter[],
): Promise<readonly SwapCell[]> {
  const { attentionsOf } = await import("../../swap/index.ts");
  const { cellsOf } = await import("../../swap/plan.ts");
  const { decoder } = await import("../../models/index.ts");
  const own = decoder(config);
  own.dispose();
  const cells = cellsOf(
    plan,
    config.layers,
    adapters.map(({ layers }) => layers),
  );
  for (const cell of cells) {
    if (!("selector" in cell)) continue;
    decoder({ ...config, attention: attentionsOf({ model: own }, cell, plan.calibration) }).dispose();
  }
  return cells;
}

/**
 * What every model is asked.
 *
 * @throws DomainError `evaluation-text`, `swap-needle`, `prompt-empty`, `prompt-too-long`
 */
export async function questionsFor(
  plan: SwapPlan,
  text: string,
  model: LanguageModel,
): Promise<SwapQuestions> {
  const { tokenizer, endTokens, layout } = model;
  const { needleTest, textWindows } = await import("../../swap/index.ts");
  const { requirePrompt } = await import("../../generation/generate.ts");
  const { maximumLength } = layout.config;
  const { prompt, calibration, seed, newTokens, needleLength, needleLanguage: language } = plan;
  const tokens = prompt === undefined ? undefined : encodePrompt(model, prompt, {}).tokens;
  if (tokens !== undefined) requirePrompt({ maximumLength, length: 0 }, tokenizer, tokens);
  const length = Math.min(needleLength, maximumLength);
  return {
    windows: textWindows(tokenizer, text, Math.min(plan.context, maximumLength), plan.tokens),
    tokenizer,
    calibration,
    seed,
    ...(length === 0 ? {} : { needles: needleTest(tokenizer, text, { length, language, seed }) }),
    ...(tokens === undefined ? {} : { prompt: { tokens, newTokens, endTokens } }),
  };
}
