/**
 * @file Recall in tokens: MQAR for a decoder of two layers, one to join each value with the key before it and one to look it
 * up. Only the queries are scored, and no filler can fake a pair. Every step has fresh data. The first layer needs places, so
 * a selector that names no position gets alibi, which fits every similarity and finds the token before soonest.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { alibi } from "../../positions/index.ts";
import { type LabelledTokens, recallTokens } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, idleDecoderSettings } from "../decoder-settings.ts";
import { positive, type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { fitting, heldOut, measureLabels, tokenTrainable } from "../token-task.ts";
import { type Recipe } from "../trainable.ts";

/** Settings of the recipe for recall in tokens. */
export interface RecallTokensSettings extends DecoderSettings {
  /** V: half of it keys, half values. */
  readonly vocabulary: number;
  /** L, tokens of a sequence. */
  readonly length: number;
  /** n, pairs of a sequence; 4n ≤ L. */
  readonly pairs: number;
  /** a of the power law of the gaps before queries; 1 is uniform. */
  readonly powerA: number;
  /** What stands where nothing is asked: token 0, or any token but the sequence's keys. */
  readonly fillers: "zero" | "random";
  /** Batches of the validation and of the test data. */
  readonly testBatches: number;
}

const entries: SettingEntries<RecallTokensSettings> = {
  ...decoderEntries,
  feedForward: v.optional(v.picklist(["swiglu", "gelu", "none"], "it must be swiglu, gelu or none"), "none"),
  batch: v.optional(whole(1), 32),
  steps: v.optional(whole(1), 2000),
  warmUp: v.optional(whole(0), 100),
  vocabulary: v.optional(whole(4), 256),
  length: v.optional(whole(1), 64),
  pairs: v.optional(whole(1), 8),
  powerA: v.optional(positive, 0.01),
  fillers: v.optional(v.picklist(["zero", "random"], "it must be zero or random"), "zero"),
  testBatches: v.optional(whole(1), 4),
};

/** One step is one batch of fresh sequences. */
export const recallTokensRecipe: Recipe<RecallTokensSettings> = {
  task: "recall-tokens",
  metric: { name: "accuracy", unit: "share of queries", better: "higher" },
  unit: "queries",
  settings: (overrides) =>
    fitting(readSettings("recall-tokens", v.strictObject(entries), overrides), recallTokens),
  idle: idleDecoderSettings,
  learningRates: () => [0.001, 0.002, 0.004],
  create(request) {
    const { seed, settings } = request;
    const { vocabulary, length, batch, testBatches } = settings;
    const batchAt = (split: string, step: number): LabelledTokens => ({
      ...recallTokens(settings, random(seed, "recall-tokens", split, step)),
      batch,
    });
    return tokenTrainable({
      request,
      vocabulary,
      maximumLength: length,
      position: alibi(),
      batchAt,
      measure: (split, evaluate) => measureLabels(heldOut(testBatches, batchAt, split), evaluate),
    });
  },
};
