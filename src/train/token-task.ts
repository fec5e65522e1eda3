/**
 * @file What the recipes of tasks in tokens share: a decoder on labelled sequences, and shares of right answers, over all
 * labels, over whole sequences and along whatever makes a label hard.
 */
import { type Random, random } from "../base/random.ts";
import { type LabelResults, type TokenBatch } from "../models/index.ts";
import { startJax } from "../kernels/jax/start.ts";
import { type Position } from "../positions/index.ts";
import { type LabelledTokens } from "../tasks/index.ts";
import { type DecoderSettings } from "./decoder-settings.ts";
import { mean } from "./metrics.ts";
import { type Evaluate, modelTrainable } from "./model-trainable.ts";
import { type Metrics, type RunRequest, type Trainable } from "./trainable.ts";
import { blockNotes, trainingDecoder } from "./training-decoder.ts";
import { computationNotes, trainingSelector } from "./training-selector.ts";

/** What a recipe of a task in tokens decides. */
export interface TokenTraining {
  readonly request: RunRequest<DecoderSettings>;
  /** V */
  readonly vocabulary: number;
  /** The longest sequence that is trained or measured. */
  readonly maximumLength: number;
  /** Of selectors that name none. */
  readonly position: Position;
  /** Data of a step, as long as those of training. */
  readonly batchAt: (split: "train" | Split, step: number) => LabelledTokens;
  /** Measures on the validation or on the test data. */
  readonly measure: (split: Split, evaluate: EvaluateTokens, counts: ParameterCounts) => Promise<Metrics>;
  readonly notes?: readonly string[];
}

/** Data that training does not see. */
export type Split = "validation" | "test";

/** How many parameters a model has. */
export interface ParameterCounts {
  readonly parameters: number;
  /** Those that one token meets. */
  readonly activeParameters: number;
}

/** Loss and likeliest token of every label. */
export type EvaluateTokens = (batch: LabelledTokens) => Promise<LabelResults>;

/**
 * Settings whose sizes fit together: one sequence is made of them, so that a misfit is an error before anything runs.
 *
 * @param make - throws where they do not fit
 */
export function fitting<Settings extends DecoderSettings>(
  settings: Settings,
  make: (settings: Settings, rng: Random) => unknown,
): Settings {
  make({ ...settings, batch: 1 }, random("settings"));
  return settings;
}

/** A decoder that trains on labelled sequences. */
export async function tokenTrainable(training: TokenTraining): Promise<Trainable> {
  const { request, vocabulary, maximumLength, position, batchAt, measure, notes = [] } = training;
  const { selector, seed, learningRate, settings, engine } = request;
  await startJax();
  const model = trainingDecoder(settings, {
    selector,
    attention: trainingSelector(selector, position),
    vocabulary,
    maximumLength,
    engine,
  });
  const { parameterCount: parameters, activeParameterCount: activeParameters = parameters } = model;
  const measureOn =
    (split: Split) =>
    (evaluate: Evaluate<TokenBatch>): Promise<Metrics> =>
      measure(split, (batch) => evaluate(decoderBatch(batch)), { parameters, activeParameters });
  return modelTrainable({
    model,
    seed,
    learningRate,
    steps: settings.steps,
    warmUp: settings.warmUp,
    batchAt: (step) => decoderBatch(batchAt("train", step)),
    validate: measureOn("validation"),
    test: measureOn("test"),
    scoreBatch: () => decoderBatch(batchAt("test", 0)),
    stateLength: maximumLength,
    notes: [...notes, ...blockNotes(settings, selector), ...computationNotes(selector, engine !== undefined)],
  });
}

/** Labelled sequences as a decoder takes them: a label's place is counted in the batch. */
function decoderBatch({ tokens, batch, positions, targets }: LabelledTokens): TokenBatch {
  const length = tokens.length / batch;
  const labels = positions.length / batch;
  return {
    tokens,
    targets,
    batch,
    positions: positions.map((place, label) => Math.floor(label / labels) * length + place),
  };
}

/** What a recipe measures along: the name of a series, and the number in it to which a label belongs. */
export interface LabelSeries<Batch extends LabelledTokens> {
  /** `placeAccuracy` gives `placeAccuracyAt1`, `placeAccuracyAt2`… */
  readonly name: string;
  readonly at: (batch: Batch, label: number) => number;
}

/**
 * Measures batches: `accuracy` over all labels, their mean `loss`, `exact`, the share of sequences with no wrong answer, where
 * they have several, and the accuracy along the series.
 *
 * @param batches - all of one number of labels a sequence
 */
export async function measureLabels<Batch extends LabelledTokens>(
  batches: Iterable<Batch>,
  evaluate: EvaluateTokens,
  series?: LabelSeries<Batch>,
): Promise<{ readonly accuracy: number; readonly loss: number } & Metrics> {
  const right: boolean[] = [];
  const losses: number[] = [];
  const whole: boolean[] = [];
  const groups = new Map<number, boolean[]>();
  let perSequence = 1;
  for (const batch of batches) {
    const results = await evaluate(batch);
    const marks = Array.from(batch.targets, (target, label) => results.predicted[label] === target);
    perSequence = marks.length / batch.batch;
    for (let first = 0; first < marks.length; first += perSequence) {
      whole.push(marks.slice(first, first + perSequence).every(Boolean));
    }
    marks.forEach((mark, label) => {
      right.push(mark);
      losses.push(results.losses[label]);
      if (series === undefined) return;
      const at = series.at(batch, label);
      const group = groups.get(at);
      if (group === undefined) groups.set(at, [mark]);
      else group.push(mark);
    });
  }
  return {
    accuracy: shareOf(right),
    loss: mean(losses),
    ...(perSequence === 1 ? {} : { exact: shareOf(whole) }),
    ...Object.fromEntries(
      [...groups]
        .sort(([a], [b]) => a - b)
        .map(([at, marks]) => [`${series?.name}At${at}`, shareOf(marks)] as const),
    ),
  };
}

const shareOf = (marks: readonly boolean[]): number => marks.filter(Boolean).length / marks.length;

/** The largest power of two that is not above a number ≥ 1: places 1, 2–3, 4–7… count together. */
export function octave(number: number): number {
  return 2 ** Math.floor(Math.log2(number));
}

/** Held-out batches of a split. */
export function heldOut<Batch>(
  count: number,
  batchAt: (split: Split, step: number) => Batch,
  split: Split,
): Batch[] {
  return Array.from({ length: count }, (_, step) => batchAt(split, step));
}
