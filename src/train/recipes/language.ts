/** @file Language: a decoder of characters on a book, measured in bits per character on held-out text. */
import * as v from "valibot";
import { type TokenBatch } from "../../models/index.ts";
import { rope } from "../../positions/index.ts";
import { bitsPerCharacter, heldOutWindows, type Split } from "../../tasks/index.ts";
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

/** Settings of the language recipe. */
export interface LanguageSettings extends TextSettings {
  /** Windows of the validation and of the test text, evenly spread. */
  readonly testWindows: number;
}

const entries: SettingEntries<LanguageSettings> = { ...textEntries, testWindows: v.optional(whole(1), 128) };

/** One step is one batch of windows that start anywhere. */
export const languageRecipe: Recipe<LanguageSettings> = {
  task: "language",
  metric: { name: "bitsPerCharacter", unit: "bits per character", better: "lower" },
  unit: "tokens",
  settings: (overrides) => readSettings("language", v.strictObject(entries), overrides),
  idle: idleDecoderSettings,
  learningRates: () => [0.003, 0.01, 0.03],
  async create({ selector, seed, learningRate, settings, data, engine }): Promise<Trainable> {
    const { batch, length, steps, warmUp, testWindows } = settings;
    const text = await readCorpus(settings, data);
    const measure =
      (split: Split) =>
      async (evaluate: Evaluate<TokenBatch>): Promise<Metrics> => {
        const windows = heldOutWindows(split, length, testWindows);
        const loss = mean(await lossesOf(windows, batch * length, evaluate));
        return { bitsPerCharacter: bitsPerCharacter(loss, split.tokensPerCharacter), loss };
      };
    return modelTrainable({
      model: trainingDecoder(settings, {
        selector,
        attention: trainingSelector(selector, rope()),
        vocabulary: text.vocabulary.size,
        maximumLength: length,
        engine,
      }),
      seed,
      learningRate,
      steps,
      warmUp,
      batchAt: (step) => trainingBatch(text, settings, "language", seed, step),
      validate: measure(text.validation),
      test: measure(text.test),
      scoreBatch: () => batchOf(heldOutWindows(text.test, length, batch)),
      stateLength: length,
      notes: [...blockNotes(settings, selector), ...computationNotes(selector, engine !== undefined)],
    });
  },
};
