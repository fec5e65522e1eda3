/**
 * @file Selective copy: a decoder tells the few symbols in a long noise in order (see `tasks/selective-copy.ts`). Every step has
 * fresh sequences. A selector that names no position gets learned ones, which fit every similarity.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { learned } from "../../positions/index.ts";
import { type LabelledTokens, selectiveCopyTokens } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, idleDecoderSettings } from "../decoder-settings.ts";
import { type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { fitting, heldOut, measureLabels, octave, tokenTrainable } from "../token-task.ts";
import { type Recipe } from "../trainable.ts";

/** Settings of the recipe for selective copy. */
export interface SelectiveCopyRecipeSettings extends DecoderSettings {
  /** A: symbols 1 … A − 2, noise 0, marker A − 1. */
  readonly vocabulary: number;
  /** Places of noise. */
  readonly noise: number;
  /** M, symbols to copy. */
  readonly symbols: number;
  /** Batches of the validation and of the test data. */
  readonly testBatches: number;
}

const entries: SettingEntries<SelectiveCopyRecipeSettings> = {
  ...decoderEntries,
  steps: v.optional(whole(1), 2000),
  warmUp: v.optional(whole(0), 100),
  vocabulary: v.optional(whole(4), 16),
  noise: v.optional(whole(0), 256),
  symbols: v.optional(whole(1), 8),
  testBatches: v.optional(whole(1), 8),
};

/** `placeAccuracyAt1`, `At2`, `At4`… have the accuracy by the symbol's number, from that one to before the next. */
export const selectiveCopyRecipe: Recipe<SelectiveCopyRecipeSettings> = {
  task: "selective-copy",
  metric: { name: "accuracy", unit: "share of symbols", better: "higher" },
  unit: "symbols",
  settings: (overrides) =>
    fitting(readSettings("selective-copy", v.strictObject(entries), overrides), selectiveCopyTokens),
  idle: idleDecoderSettings,
  learningRates: () => [0.001, 0.003, 0.01],
  create(request) {
    const { seed, settings } = request;
    const { vocabulary, noise, symbols, testBatches } = settings;
    const batchAt = (split: string, step: number): LabelledTokens =>
      selectiveCopyTokens(settings, random(seed, "selective-copy", split, step));
    return tokenTrainable({
      request,
      vocabulary,
      maximumLength: noise + 2 * symbols,
      position: learned(),
      batchAt,
      measure: (split, evaluate) =>
        measureLabels(heldOut(testBatches, batchAt, split), evaluate, {
          name: "placeAccuracy",
          at: (_, label) => octave(1 + (label % symbols)),
        }),
    });
  },
};
