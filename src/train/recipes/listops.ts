/**
 * @file ListOps: a decoder tells the value of a nested expression (see `tasks/listops.ts`). Every step has fresh expressions. A
 * selector that names no position gets learned ones, which fit every similarity.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { learned } from "../../positions/index.ts";
import { type ListopsBatch, listopsTokens, listopsWords } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, idleDecoderSettings } from "../decoder-settings.ts";
import { type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { fitting, heldOut, measureLabels, tokenTrainable } from "../token-task.ts";
import { type Recipe } from "../trainable.ts";

/** Settings of the ListOps recipe. */
export interface ListopsRecipeSettings extends DecoderSettings {
  /** Largest nesting of operations. */
  readonly depth: number;
  /** Largest number of arguments of an operation. */
  readonly arguments: number;
  /** Least and largest number of words of an expression. */
  readonly minimumLength: number;
  readonly maximumLength: number;
  /** Batches of the validation and of the test data. */
  readonly testBatches: number;
}

const entries: SettingEntries<ListopsRecipeSettings> = {
  ...decoderEntries,
  batch: v.optional(whole(1), 32),
  steps: v.optional(whole(1), 2000),
  warmUp: v.optional(whole(0), 100),
  depth: v.optional(whole(1), 5),
  arguments: v.optional(whole(2), 5),
  minimumLength: v.optional(whole(1), 4),
  maximumLength: v.optional(whole(4), 100),
  testBatches: v.optional(whole(1), 32),
};

/**
 * `depthAccuracyAt1`, `At2`… have the accuracy by nesting; `majorityAccuracy` is that of always giving the commonest answer of
 * the same data, which is what a model must beat.
 */
export const listopsRecipe: Recipe<ListopsRecipeSettings> = {
  task: "listops",
  metric: { name: "accuracy", unit: "share of expressions", better: "higher" },
  unit: "expressions",
  settings: (overrides) =>
    fitting(readSettings("listops", v.strictObject(entries), overrides), listopsTokens),
  idle: idleDecoderSettings,
  learningRates: () => [0.0005, 0.001, 0.003],
  create(request) {
    const { seed, settings } = request;
    const { testBatches, maximumLength } = settings;
    const batchAt = (split: string, step: number): ListopsBatch =>
      listopsTokens(settings, random(seed, "listops", split, step));
    return tokenTrainable({
      request,
      vocabulary: listopsWords.length,
      maximumLength: maximumLength + 1,
      position: learned(),
      batchAt,
      async measure(split, evaluate) {
        const batches = heldOut(testBatches, batchAt, split);
        const measured = await measureLabels(batches, evaluate, {
          name: "depthAccuracy",
          at: ({ depths }, label) => depths[label],
        });
        return { ...measured, majorityAccuracy: majorityShare(batches) };
      },
    });
  },
};

function majorityShare(batches: readonly ListopsBatch[]): number {
  const counts = new Float64Array(10);
  for (const { targets } of batches) for (const answer of targets) counts[answer] += 1;
  return Math.max(...counts) / counts.reduce((sum, count) => sum + count, 0);
}
