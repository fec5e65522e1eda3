/**
 * @file Extrapolation: a decoder trained on windows of N characters reads the same held-out text in windows of N, 2N, … 16N
 * (Press et al. 2022). Positions decide it.
 */
import * as v from "valibot";
import { printSelector } from "../../attention/index.ts";
import { type TokenBatch, type TokenModel, parseMixer, positionOf } from "../../models/index.ts";
import { rope } from "../../positions/index.ts";
import {
  bitsPerCharacter,
  extrapolationFactors,
  type ExtrapolationWindows,
  extrapolationWindows,
  type Split,
} from "../../tasks/index.ts";
import { idleDecoderSettings } from "../decoder-settings.ts";
import { mean } from "../metrics.ts";
import { type Evaluate, modelTrainable } from "../model-trainable.ts";
import { type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import {
  batchOf,
  lossesOf,
  readCorpus,
  textEntries,
  type TextSettings,
  trainingBatch,
} from "../text-model.ts";
import { type Metrics, type Recipe, type Trainable } from "../trainable.ts";
import { blockNotes, trainingDecoder } from "../training-decoder.ts";
import { computationNotes, trainingSelector } from "../training-selector.ts";

/** Settings of the extrapolation recipe. */
export interface ExtrapolationSettings extends TextSettings {
  /** Lengths to read at, in units of the trained one; ascending, each dividing the last. */
  readonly factors: readonly number[];
  /** Blocks of the longest length, evenly spread over the validation and over the test text. */
  readonly blocks: number;
  /**
   * When a rope with scaling=pi, ntk or yarn is scaled: when it reads more than N characters (default; the model learns with
   * plain rope), or always.
   */
  readonly scaled: "beyond" | "always";
}

const entries: SettingEntries<ExtrapolationSettings> = {
  ...textEntries,
  factors: v.optional(v.array(whole(1)), [...extrapolationFactors]),
  blocks: v.optional(whole(1), 8),
  scaled: v.optional(v.picklist(["beyond", "always"], "it must be beyond or always"), "beyond"),
};

/**
 * The metric is the loss at the longest length. `bitsPerCharacterAt64`… have it at every length, over all places of side by
 * side windows; `lastBitsPerCharacterAt64`… over the last N places of each block only, all of which lie beyond N from
 * length 2N on; `bitsIncrease` is the longest length's minus that at N.
 */
export const extrapolationRecipe: Recipe<ExtrapolationSettings> = {
  task: "extrapolation",
  metric: { name: "bitsPerCharacter", unit: "bits per character at the longest length", better: "lower" },
  unit: "tokens",
  settings: (overrides) => readSettings("extrapolation", v.strictObject(entries), overrides),
  idle: idleDecoderSettings,
  learningRates: () => [0.003, 0.01, 0.03],
  async create({ selector, seed, learningRate, settings, data, engine }): Promise<Trainable> {
    const { batch, length, steps, warmUp, factors } = settings;
    const text = await readCorpus(settings, data);
    const attention = trainingSelector(selector, rope());
    const longest = length * Math.max(...factors);
    const isLearned = positionOf(parseMixer(attention))?.name === "learned";
    const make = (attention: string): TokenModel =>
      trainingDecoder(settings, {
        selector,
        attention,
        vocabulary: text.vocabulary.size,
        maximumLength: isLearned ? length : longest,
        engine,
      });
    const trainedWith = settings.scaled === "beyond" ? withoutScaling(attention) : attention;
    const model = make(trainedWith);
    const beyond = trainedWith === attention ? model : make(attention);

    const measure =
      (split: Split) =>
      async (evaluate: Evaluate<TokenBatch>): Promise<Metrics> => {
        const { blocks } = settings;
        const cut = extrapolationWindows(split, length, { factors, blocks });
        const bits = (losses: Float32Array): number =>
          bitsPerCharacter(mean(losses), split.tokensPerCharacter);
        const metrics: Record<string, number> = {};
        for (const windows of cut) {
          if (isLearned && windows.length > length) continue;
          const reader = windows.length > length ? beyond : model;
          const losses = await lossesOf(windows, batch * length, (part) => evaluate(part, reader));
          metrics[`bitsPerCharacterAt${windows.length}`] = bits(losses);
          metrics[`lastBitsPerCharacterAt${windows.length}`] = bits(
            endsOfBlocks(losses, windows, longest, length),
          );
        }
        const [last, first] = [longest, length].map((at) => metrics[`bitsPerCharacterAt${at}`]);
        if (last === undefined) return metrics;
        return {
          bitsPerCharacter: last,
          ...metrics,
          ...(first === undefined ? {} : { bitsIncrease: last - first }),
        };
      };

    return modelTrainable({
      model,
      seed,
      learningRate,
      steps,
      warmUp,
      batchAt: (step) => trainingBatch(text, settings, "extrapolation", seed, step),
      validate: measure(text.validation),
      test: measure(text.test),
      scoreBatch: () => batchOf(extrapolationWindows(text.test, length, { factors: [1], blocks: batch })[0]),
      stateLength: isLearned ? length : longest,
      notes: [
        ...notesOf(isLearned, trainedWith === attention ? undefined : trainedWith, length),
        ...blockNotes(settings, selector),
        ...computationNotes(selector, engine !== undefined),
      ],
      owned: beyond === model ? [] : [beyond],
    });
  },
};

/** The attention with its rope as it was before it was stretched: the scalings are made for a model that learned without. */
function withoutScaling(selector: string): string {
  const mixer = parseMixer(selector);
  if (mixer.kind === "recurrence") return selector;
  const { parts } = mixer;
  const { position } = parts;
  if (
    position?.place !== "rotation" ||
    !["pi", "ntk", "yarn"].includes(String(position.options["scaling"]))
  ) {
    return selector;
  }
  const { scaling: _, factor: __, original: ___, ...options } = position.options;
  return printSelector({ ...parts, position: rope(options) });
}

/** The losses of the last `scored` places of every block of `blockLength` places. */
function endsOfBlocks(
  losses: Float32Array,
  { count, length }: ExtrapolationWindows,
  blockLength: number,
  scored: number,
): Float32Array {
  const blocks = (count * length) / blockLength;
  const ends = new Float32Array(blocks * scored);
  for (let block = 0; block < blocks; block++) {
    const end = (block + 1) * blockLength;
    ends.set(losses.subarray(end - scored, end), block * scored);
  }
  return ends;
}

function notesOf(isLearned: boolean, trainedWith: string | undefined, length: number): readonly string[] {
  return [
    ...(isLearned
      ? [
          `Learned positions end at ${length} places, so there is no loss at longer lengths and no metric of this task`,
        ]
      : []),
    ...(trainedWith === undefined
      ? []
      : [`Trained with ${trainedWith}; the scaling of rope applies only beyond ${length} places`]),
  ];
}
