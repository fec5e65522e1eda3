/** @file Everything that is measured of a swap at once, and of the model before it: text, layers, needles, and what is said. */
import { type Bilingual } from "../compare/bilingual.ts";
import { UnsupportedError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { generate, type NextToken } from "../generation/index.ts";
import { swapAttention } from "../language/index.ts";
import { type Activations, type Decoder, type LayerAttentions } from "../models/index.ts";
import { type Tokenizer } from "../text/index.ts";
import { type AdapterParts, layerOnBase } from "./adapter-layers.ts";
import {
  calibratedSelector,
  calibrateSwap,
  type Calibration,
  type HeldTemperature,
  temperaturesHeld,
} from "./calibrate-swap.ts";
import {
  compareScores,
  evaluateText,
  type ScoreDifference,
  type TextScore,
  type TextWindows,
} from "../language/evaluate-text.ts";
import { compareLayers, compareStreams, type LayerDivergence } from "./layer-divergence.ts";
import { findNeedles, type NeedleScore, type NeedleTest } from "./needle.ts";
import { openSwap, type SwappedModel, type TrainedModel } from "./swapped-model.ts";

/** What is asked of every model. */
export interface SwapQuestions {
  readonly windows: TextWindows;
  readonly tokenizer: Tokenizer;
  readonly calibration: Calibration;
  readonly seed: number;
  /** Absent where no facts are hidden. */
  readonly needles?: NeedleTest;
  /** Continued greedily; absent where nothing is said. */
  readonly prompt?: {
    readonly tokens: readonly number[];
    readonly newTokens: number;
    readonly endTokens: readonly number[];
  };
}

/** What a model says after the prompt, or why it cannot. */
export type Continuation = { readonly text: string } | { readonly refused: string };

/** The model as it is. */
export interface BaseMeasurement {
  readonly score: TextScore;
  readonly needles?: readonly NeedleScore[];
  readonly continuation?: Continuation;
}

/** Another attention in some layers. */
export interface SelectorCell {
  /** As it was asked for. */
  readonly selector: string;
  readonly layers: readonly number[];
  /** Query heads; all where absent. */
  readonly heads?: readonly number[];
}

/** What an adapter makes of the model, or its attentions alone. */
export interface AdapterCell {
  /** Its folder, as it was asked for. */
  readonly adapter: string;
  /** Of its files. */
  readonly hash: string;
  /** Whether with what it learned; otherwise its attentions begin as before their training. */
  readonly isLearned: boolean;
  /** Those that it changes. */
  readonly layers: readonly number[];
}

/** One swap. */
export type SwapCell = SelectorCell | AdapterCell;

/** What it changes. */
export interface SwapMeasurement extends BaseMeasurement {
  readonly cell: SwapCell;
  /** The attention of the first swapped layer, as it was computed; of several groups of heads one after the other. */
  readonly attention: string;
  readonly difference: ScoreDifference;
  /** Swapped layers alone, on the stream of the base. */
  readonly layers: readonly LayerDivergence[];
  /** The residual stream after every layer against the base's. */
  readonly streams: readonly number[];
  readonly temperatures: readonly HeldTemperature[];
  readonly wallMs: number;
}

/** The base with what every swap is held against. */
export interface MeasuredBase {
  readonly measurement: BaseMeasurement;
  readonly activations: Activations;
}

/** What is being done, for those who wait. */
export const swapStages: Readonly<Record<"text" | "layers" | "needles" | "saying", Bilingual>> = {
  text: { en: "text", zh: "文本" },
  layers: { en: "layers", zh: "各层" },
  needles: { en: "needles", zh: "大海捞针" },
  saying: { en: "continuing the prompt", zh: "续写" },
};

/** Told what begins. */
export type OnStage = (stage: keyof typeof swapStages) => void;

/** The tokens whose activations are compared: those of the first window. */
function observedTokens({ tokens: [first], counts: [count] }: TextWindows): Int32Array {
  return first.slice(0, count);
}

/**
 * Measures the model as it is.
 *
 * @param known - what an earlier run found, which is not measured again
 */
export async function measureBase(
  base: TrainedModel,
  questions: SwapQuestions,
  onStage: OnStage = () => undefined,
  known?: BaseMeasurement,
): Promise<MeasuredBase> {
  const measurement = known ?? (await ask(base, questions, onStage));
  onStage("layers");
  const activations = await base.model.activations(base.arrays, observedTokens(questions.windows), 1);
  return { measurement, activations };
}

/**
 * Measures a swap.
 *
 * @param adapter - that a cell of one names, as `readAdapter` gives it
 * @throws what `swapAttention`, `decoder` and `calibrateSwap` throw; NumbersError where the model's numbers end
 */
export async function measureSwap(
  base: TrainedModel,
  { measurement, activations }: MeasuredBase,
  cell: SwapCell,
  questions: SwapQuestions,
  onStage: OnStage = () => undefined,
  adapter?: AdapterParts,
): Promise<SwapMeasurement> {
  const startMs = performance.now();
  onStage("layers");
  const { seed, windows, calibration } = questions;
  const { attention, tensors } =
    "selector" in cell
      ? { attention: attentionsOf(base, cell, calibration), tensors: undefined }
      : partsOf(cell, adapter);
  const { swapped, held } =
    tensors === undefined
      ? await openCalibrated(base, attention, activations, seed)
      : { swapped: openSwap(base, attention, tensors, seed), held: tensors };
  try {
    const observed = observedTokens(windows);
    const own = await swapped.model.activations(swapped.arrays, observed, 1);
    // Nothing before the first swapped layer differs; an adapter changes what goes into the later ones too.
    const first = Math.min(...cell.layers);
    const layers = await compareLayers(base, swapped, activations, cell.layers, (layer) =>
      layer === first
        ? own.layers[layer]
        : "selector" in cell
          ? undefined
          : layerOnBase(base, { attention, tensors: held }, layer, { tokens: observed, seed }),
    );
    const asked = await ask(swapped, questions, onStage);
    return {
      ...asked,
      cell,
      attention: shownAttention(swapped, cell),
      difference: compareScores(measurement.score, asked.score, questions.windows.counts),
      layers,
      streams: compareStreams(activations, own),
      temperatures: temperaturesHeld(swapped.model, held),
      wallMs: performance.now() - startMs,
    };
  } finally {
    swapped.dispose();
  }
}

/** An adapter with what it learned, or its attentions as they were before: as new, and with temperatures that are `auto` turned. */
function partsOf(
  { isLearned }: AdapterCell,
  adapter: AdapterParts | undefined,
): { readonly attention: LayerAttentions; readonly tensors?: AdapterParts["tensors"] } {
  if (adapter === undefined) throw new TypeError("The cell of an adapter is measured with that adapter");
  return isLearned ? adapter : { attention: adapter.attention };
}

/** A swap whose temperatures are turned. */
async function openCalibrated(
  base: TrainedModel,
  attention: LayerAttentions,
  activations: Activations,
  seed: number,
): Promise<{ readonly swapped: SwappedModel; readonly held: Readonly<Record<string, Tensor>> }> {
  const plain = openSwap(base, attention, {}, seed);
  let held: Readonly<Record<string, Tensor>>;
  try {
    held = await calibrateSwap(base, plain, activations);
  } catch (error) {
    plain.dispose();
    throw error;
  }
  if (Object.keys(held).length === 0) return { swapped: plain, held };
  plain.dispose();
  return { swapped: openSwap(base, attention, held, seed), held };
}

/**
 * The attentions of a cell, with temperatures to be turned where they are left out.
 *
 * @throws as `swapAttention` and `decoder`, so that a wrong cell is refused before anything is measured
 */
export function attentionsOf(
  {
    model,
    similarities = [],
  }: { readonly model: Pick<Decoder, "config"> } & Pick<TrainedModel, "similarities">,
  { selector, layers, heads }: SelectorCell,
  calibration: Calibration,
): LayerAttentions {
  const { groups } = model.config;
  const own = groups[layers[0]]?.[0]?.selector ?? groups[0][0].selector;
  const turned = calibration === "none" ? selector : calibratedSelector(selector, own, similarities);
  const places = { layers, ...(heads === undefined ? {} : { heads }) };
  return swapAttention(groups, { selector: turned, ...places }, similarities);
}

function shownAttention({ model }: Pick<SwappedModel, "model">, cell: SwapCell): string {
  const groups = model.config.groups[cell.layers[0] ?? 0];
  if (!("selector" in cell)) return groups.map(({ selector }) => selector).join(" | ");
  let first = 0;
  for (const { selector, heads: count } of groups) {
    if ((cell.heads?.[0] ?? 0) < first + count) return selector;
    first += count;
  }
  return groups[0].selector;
}

async function ask(
  asked: Pick<SwappedModel, "model" | "arrays">,
  { windows, needles, prompt, tokenizer }: SwapQuestions,
  onStage: OnStage,
): Promise<BaseMeasurement> {
  onStage("text");
  const score = await evaluateText(asked, windows);
  if (needles !== undefined) onStage("needles");
  const found = needles && (await findNeedles(asked, needles));
  if (prompt !== undefined) onStage("saying");
  const continuation = prompt && (await continuePrompt(asked, tokenizer, prompt));
  return {
    score,
    ...(found === undefined ? {} : { needles: found }),
    ...(continuation === undefined ? {} : { continuation }),
  };
}

async function continuePrompt(
  { model, arrays }: Pick<SwappedModel, "model" | "arrays">,
  tokenizer: Tokenizer,
  { tokens, newTokens, endTokens }: NonNullable<SwapQuestions["prompt"]>,
): Promise<Continuation> {
  try {
    const decoding = model.decode(arrays);
    const session: NextToken = {
      maximumLength: model.config.maximumLength,
      get length() {
        return decoding.length;
      },
      prefill: async (given) => (await decoding.take(Int32Array.from(given))).data,
      step: async (token) => (await decoding.step(Int32Array.of(token))).data,
    };
    let text = "";
    const options = { temperature: 0, maximumNewTokens: newTokens, stopTokens: endTokens };
    try {
      for await (const piece of generate(session, tokenizer, tokens, options)) text += piece.text;
    } finally {
      decoding.dispose();
    }
    return { text };
  } catch (error) {
    // Some attentions count the keys of a whole sequence, and can be measured though they cannot go token by token.
    if (error instanceof UnsupportedError) return { refused: error.message };
    throw error;
  }
}
