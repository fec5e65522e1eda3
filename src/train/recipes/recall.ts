/**
 * @file Recall in vectors, for one attention alone: MQAR where key and value arrive joined (see `tasks/recall.ts`), solved by
 * one mixer or not at all. Every step has fresh data.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { recallProbe, type VectorBatch } from "../../models/index.ts";
import { recallVectors, valueTable } from "../../tasks/index.ts";
import { accuracy, mean } from "../metrics.ts";
import { type Evaluate, modelTrainable } from "../model-trainable.ts";
import { nonNegative, type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { type Metrics, type Recipe, type Trainable } from "../trainable.ts";
import { computationNotes, trainingSelector } from "../training-selector.ts";

/** Settings of the recall recipe. */
export interface RecallSettings {
  /** n, pairs of a sequence, each asked for once. */
  readonly pairs: number;
  /** Coordinates of a key. */
  readonly keyWidth: number;
  /** D of a head: the width that is studied. */
  readonly headWidth: number;
  readonly heads: number;
  /** Coordinates of a value, and of a head's values. */
  readonly valueWidth: number;
  /** Rows of the value table. */
  readonly classes: number;
  /** Standard deviation of the noise on a query's key. */
  readonly noise: number;
  /** Sequences of a step. */
  readonly batch: number;
  readonly steps: number;
  /** Steps of the warm-up of the learning rate. */
  readonly warmUp: number;
  /** Batches of the validation and of the test data. */
  readonly testBatches: number;
}

const entries: SettingEntries<RecallSettings> = {
  pairs: v.optional(whole(1), 24),
  keyWidth: v.optional(whole(1), 16),
  headWidth: v.optional(whole(1), 16),
  heads: v.optional(whole(1), 1),
  valueWidth: v.optional(whole(1), 16),
  classes: v.optional(whole(2), 64),
  noise: v.optional(nonNegative, 0),
  batch: v.optional(whole(1), 32),
  steps: v.optional(whole(1), 300),
  warmUp: v.optional(whole(0), 20),
  testBatches: v.optional(whole(1), 8),
};

/** One step is one batch of fresh sequences. */
export const recallRecipe: Recipe<RecallSettings> = {
  task: "recall",
  metric: { name: "accuracy", unit: "share of queries", better: "higher" },
  unit: "queries",
  settings: (overrides) => readSettings("recall", v.strictObject(entries), overrides),
  learningRates: () => [0.01, 0.03, 0.1],
  async create({ selector, seed, learningRate, settings, engine }): Promise<Trainable> {
    await startJax();
    const { pairs, keyWidth, headWidth, heads, noise, batch, steps, warmUp, testBatches } = settings;
    const values = valueTable(settings.classes, settings.valueWidth, random(seed, "recall", "values"));
    const batchOf = (split: string, step: number): VectorBatch => {
      const { positions, ...made } = recallVectors(
        { pairs, keyWidth, batch, noise },
        values,
        random(seed, "recall", split, step),
      );
      const flat = positions.map((position, query) => Math.floor(query / pairs) * 2 * pairs + position);
      return { ...made, batch, positions: flat };
    };
    const measure =
      (split: string) =>
      async (evaluate: Evaluate<VectorBatch>): Promise<Metrics> => {
        const shares: number[] = [];
        const losses: number[] = [];
        for (let step = 0; step < testBatches; step++) {
          const held = batchOf(split, step);
          const results = await evaluate(held);
          shares.push(accuracy(results.predicted, held.targets));
          losses.push(mean(results.losses));
        }
        return { accuracy: mean(shares), loss: mean(losses) };
      };
    return modelTrainable({
      model: recallProbe(
        { selector: trainingSelector(selector), keyWidth, headWidth, heads, values },
        { engine },
      ),
      seed,
      learningRate,
      steps,
      warmUp,
      batchAt: (step) => batchOf("train", step),
      validate: measure("validation"),
      test: measure("test"),
      scoreBatch: () => batchOf("test", 0),
      stateLength: 2 * pairs,
      notes: computationNotes(selector, engine !== undefined),
    });
  },
};
