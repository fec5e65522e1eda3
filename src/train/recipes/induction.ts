/**
 * @file Induction: a decoder finds what followed the trigger (see `tasks/induction.ts`), at the length that it is trained at and
 * at lengths that it never saw. Every step has fresh sequences. A selector that names no position gets alibi, which fits every
 * similarity, finds the token before soonest and has no end.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { parseMixer, positionOf } from "../../models/index.ts";
import { alibi } from "../../positions/index.ts";
import { inductionTokens, type LabelledTokens } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, idleDecoderSettings } from "../decoder-settings.ts";
import { type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { fitting, heldOut, measureLabels, tokenTrainable } from "../token-task.ts";
import { type Recipe } from "../trainable.ts";
import { trainingSelector } from "../training-selector.ts";

/** Settings of the induction recipe. */
export interface InductionRecipeSettings extends DecoderSettings {
  /** V, the trigger among them. */
  readonly vocabulary: number;
  /** N of training. */
  readonly length: number;
  /** Lengths to measure at, in units of the trained one. */
  readonly factors: readonly number[];
  /** Sequences of the validation and of the test data, at each length. */
  readonly testSequences: number;
}

const entries: SettingEntries<InductionRecipeSettings> = {
  ...decoderEntries,
  batch: v.optional(whole(1), 64),
  steps: v.optional(whole(1), 2000),
  warmUp: v.optional(whole(0), 100),
  vocabulary: v.optional(whole(3), 20),
  length: v.optional(whole(3), 30),
  factors: v.optional(
    v.pipe(v.array(whole(1)), v.includes(1, "it must have the factor 1, at which the task is measured")),
    [1, 2, 4, 8, 16],
  ),
  testSequences: v.optional(whole(1), 512),
};

/** The metric is the accuracy at the trained length; `accuracyAt30`, `At60`… have it at every length. */
export const inductionRecipe: Recipe<InductionRecipeSettings> = {
  task: "induction",
  metric: { name: "accuracy", unit: "share of questions", better: "higher" },
  unit: "questions",
  settings: (overrides) =>
    fitting(readSettings("induction", v.strictObject(entries), overrides), inductionTokens),
  idle: idleDecoderSettings,
  learningRates: () => [0.001, 0.003, 0.01],
  create(request) {
    const { seed, settings, selector } = request;
    const { vocabulary, length, factors, testSequences } = settings;
    const position = alibi();
    const isLearned = positionOf(parseMixer(trainingSelector(selector, position)))?.name === "learned";
    const lengths = [...new Set(factors)].map((factor) => factor * length);
    const measured = isLearned ? [length] : lengths;
    const batchOf = (split: string, step: number, long: number): LabelledTokens =>
      inductionTokens(
        { vocabulary, length: long, batch: sequencesAt(long, settings) },
        random(seed, "induction", split, long, step),
      );
    return tokenTrainable({
      request,
      vocabulary,
      maximumLength: Math.max(...measured),
      position,
      batchAt: (split, step) => batchOf(split, step, length),
      async measure(split, evaluate) {
        const metrics: Record<string, number> = {};
        for (const long of measured) {
          const count = Math.ceil(testSequences / sequencesAt(long, settings));
          const batches = heldOut(count, (of, step) => batchOf(of, step, long), split);
          const { accuracy, loss } = await measureLabels(batches, evaluate);
          metrics[`accuracyAt${long}`] = accuracy;
          if (long === length) Object.assign(metrics, { accuracy, loss });
        }
        return metrics;
      },
      ...(measured.length === lengths.length
        ? {}
        : { notes: [`Learned positions end at ${length} places, so nothing is measured at longer lengths`] }),
    });
  },
};

/** So many that a batch has no more tokens than one of training, so that measuring needs no more memory. */
function sequencesAt(long: number, { batch, length }: InductionRecipeSettings): number {
  return Math.max(1, Math.floor((batch * length) / long));
}
