/**
 * @file Associative recall: a decoder answers one question about pairs that were shown (see `tasks/associative-recall.ts`). Every
 * step has fresh maps. A selector that names no position gets alibi, which fits every similarity and finds the token before
 * soonest.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { alibi } from "../../positions/index.ts";
import { type AssociativeRecallBatch, associativeRecallTokens } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, idleDecoderSettings } from "../decoder-settings.ts";
import { type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { fitting, heldOut, measureLabels, octave, tokenTrainable } from "../token-task.ts";
import { type Recipe } from "../trainable.ts";

/** Settings of the recipe for associative recall. */
export interface AssociativeRecallRecipeSettings extends DecoderSettings {
  /** V: keys, as many values, and the sign before the question. */
  readonly vocabulary: number;
  /** N, tokens of a sequence. */
  readonly length: number;
  /** Batches of the validation and of the test data. */
  readonly testBatches: number;
}

const entries: SettingEntries<AssociativeRecallRecipeSettings> = {
  ...decoderEntries,
  batch: v.optional(whole(1), 64),
  steps: v.optional(whole(1), 2000),
  warmUp: v.optional(whole(0), 100),
  vocabulary: v.optional(whole(5), 20),
  length: v.optional(whole(4), 40),
  testBatches: v.optional(whole(1), 8),
};

/** `distanceAccuracyAt1`, `At2`, `At4`… have the accuracy by how many pairs ago the key was last shown. */
export const associativeRecallRecipe: Recipe<AssociativeRecallRecipeSettings> = {
  task: "associative-recall",
  metric: { name: "accuracy", unit: "share of questions", better: "higher" },
  unit: "questions",
  settings: (overrides) =>
    fitting(readSettings("associative-recall", v.strictObject(entries), overrides), associativeRecallTokens),
  idle: idleDecoderSettings,
  learningRates: () => [0.001, 0.003, 0.01],
  create(request) {
    const { seed, settings } = request;
    const { vocabulary, length, testBatches } = settings;
    const batchAt = (split: string, step: number): AssociativeRecallBatch =>
      associativeRecallTokens(settings, random(seed, "associative-recall", split, step));
    return tokenTrainable({
      request,
      vocabulary,
      maximumLength: length,
      position: alibi(),
      batchAt,
      measure: (split, evaluate) =>
        measureLabels(heldOut(testBatches, batchAt, split), evaluate, {
          name: "distanceAccuracy",
          at: ({ pairsAgo }, label) => octave(pairsAgo[label]),
        }),
    });
  },
};
