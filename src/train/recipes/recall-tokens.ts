/**
 * @file Recall in tokens: MQAR for a decoder of two layers, one to join each value with the key before it and one to look it
 * up. Only the queries are scored, and no filler can fake a pair. Every step has fresh data. The first layer needs places, so
 * a selector that names no position gets alibi, which fits every similarity and finds the token before soonest.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { decoder, type TokenBatch } from "../../models/index.ts";
import { alibi } from "../../positions/index.ts";
import { recallTokens } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, decoderSizes } from "../decoder-settings.ts";
import { accuracy, mean } from "../metrics.ts";
import { type Evaluate, modelTrainable } from "../model-trainable.ts";
import { positive, type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { type Metrics, type Recipe, type Trainable } from "../trainable.ts";
import { trainingSelector } from "../training-selector.ts";

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
  settings: (overrides) => readSettings("recall-tokens", v.strictObject(entries), overrides),
  learningRates: () => [0.001, 0.002, 0.004],
  async create({ selector, seed, learningRate, settings, engine }): Promise<Trainable> {
    await startJax();
    const { vocabulary, length, pairs, batch, powerA, fillers, steps, warmUp, testBatches } = settings;
    const batchAt = (split: string, step: number): TokenBatch => {
      const { tokens, positions, targets } = recallTokens(
        { vocabulary, length, pairs, batch, powerA, fillers },
        random(seed, "recall-tokens", split, step),
      );
      const flat = positions.map((position, query) => Math.floor(query / pairs) * length + position);
      return { tokens, targets, positions: flat, batch };
    };
    const measure =
      (split: string) =>
      async (evaluate: Evaluate<TokenBatch>): Promise<Metrics> => {
        const shares: number[] = [];
        const losses: number[] = [];
        for (let step = 0; step < testBatches; step++) {
          const held = batchAt(split, step);
          const results = await evaluate(held);
          shares.push(accuracy(results.predicted, held.targets));
          losses.push(mean(results.losses));
        }
        return { accuracy: mean(shares), loss: mean(losses) };
      };
    return modelTrainable({
      model: decoder(
        {
          ...decoderSizes(settings),
          vocabulary,
          attention: trainingSelector(selector, alibi()),
          maximumLength: length,
        },
        { engine },
      ),
      seed,
      learningRate,
      steps,
      warmUp,
      batchAt: (step) => batchAt("train", step),
      validate: measure("validation"),
      test: measure("test"),
      scoreBatch: () => batchAt("test", 0),
      stateLength: length,
    });
  },
};
