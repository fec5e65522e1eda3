/**
 * @file Copy: a decoder says a random word again after it was shown once (0w0w; see `tasks/copy.ts`). Every step has fresh
 * words. A selector that names no position gets learned ones, which fit every similarity.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { learned } from "../../positions/index.ts";
import { copyTokens, type LabelledTokens } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, idleDecoderSettings } from "../decoder-settings.ts";
import { type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { fitting, heldOut, measureLabels, octave, tokenTrainable } from "../token-task.ts";
import { type Recipe } from "../trainable.ts";

/** Settings of the copy recipe. */
export interface CopyRecipeSettings extends DecoderSettings {
  /** V: symbols 1 … V − 1, and the 0 that opens a word. */
  readonly vocabulary: number;
  /** N = 2(n + 1), tokens of a sequence. */
  readonly length: number;
  /** Batches of the validation and of the test data. */
  readonly testBatches: number;
}

const entries: SettingEntries<CopyRecipeSettings> = {
  ...decoderEntries,
  steps: v.optional(whole(1), 400),
  warmUp: v.optional(whole(0), 20),
  vocabulary: v.optional(whole(3), 11),
  length: v.optional(whole(4), 64),
  testBatches: v.optional(whole(1), 8),
};

/** `placeAccuracyAt1`, `At2`, `At4`… have the accuracy by place in the word, from that place to before the next. */
export const copyRecipe: Recipe<CopyRecipeSettings> = {
  task: "copy",
  metric: { name: "accuracy", unit: "share of symbols", better: "higher" },
  unit: "symbols",
  settings: (overrides) => fitting(readSettings("copy", v.strictObject(entries), overrides), copyTokens),
  idle: idleDecoderSettings,
  learningRates: () => [0.001, 0.003, 0.01],
  create(request) {
    const { seed, settings } = request;
    const { vocabulary, length, testBatches } = settings;
    const batchAt = (split: string, step: number): LabelledTokens =>
      copyTokens(settings, random(seed, "copy", split, step));
    const word = length / 2 - 1;
    return tokenTrainable({
      request,
      vocabulary,
      maximumLength: length,
      position: learned(),
      batchAt,
      measure: (split, evaluate) =>
        measureLabels(heldOut(testBatches, batchAt, split), evaluate, {
          name: "placeAccuracy",
          at: (_, label) => octave(1 + (label % word)),
        }),
    });
  },
};
