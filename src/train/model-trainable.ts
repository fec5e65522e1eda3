/**
 * @file A model in training: its tensors, AdamW with its schedule, calibration before the first step, and its state as a
 * snapshot. What it learns from and how it is measured is the recipe's.
 */
import { type numpy as np } from "@jax-js/jax";
import { Tape } from "../autodiff/index.ts";
import { ShapeError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type LabelResults, type Model } from "../models/index.ts";
import { type AnnotatedTrainable } from "./loop.ts";
import { adamW, type AdamWOptions } from "./optimiser.ts";
import { learningRateAt } from "./schedule.ts";
import { type Metrics, type Snapshot } from "./trainable.ts";

/** A batch knows how many labels it has. */
interface LabelledBatch {
  readonly targets: Int32Array;
}

/**
 * How the recipe measures: a batch to the loss and the likeliest class of its every label, by the model in training or by
 * another one with the same parameters.
 */
export type Evaluate<Batch> = (batch: Batch, model?: Model<Batch>) => Promise<LabelResults>;

/** What makes a model trainable. */
export interface ModelTraining<Batch extends LabelledBatch> {
  readonly model: Model<Batch>;
  readonly seed: number;
  /** The peak of the schedule. */
  readonly learningRate: number;
  readonly steps: number;
  readonly warmUp: number;
  readonly optimiser?: AdamWOptions;
  /** The training batch of a step, made from (seed, step) alone; that of step 0 calibrates. */
  readonly batchAt: (step: number) => Batch;
  readonly validate: (evaluate: Evaluate<Batch>) => Promise<Metrics>;
  readonly test: (evaluate: Evaluate<Batch>) => Promise<Metrics>;
  /** A batch of test data on which scores are looked at. */
  readonly scoreBatch: () => Batch;
  /** N at which the state at inference is counted. */
  readonly stateLength: number;
  readonly notes?: readonly string[];
  /** Further models, disposed with the trainable. */
  readonly owned?: readonly { dispose(): void }[];
}

/**
 * Makes the trainable; temperatures that are `auto` are calibrated here.
 *
 * @param training - see {@link ModelTraining}; the model becomes the trainable's own
 */
export async function modelTrainable<Batch extends LabelledBatch>(
  training: ModelTraining<Batch>,
): Promise<AnnotatedTrainable> {
  const { model, seed, learningRate, steps, warmUp, batchAt, notes = [] } = training;
  const optimiser = adamW(model.parameters, training.optimiser);
  let arrays: Record<string, np.Array> = {};
  const replace = (tensors: Readonly<Record<string, Tensor>>): void => {
    for (const [name, tensor] of Object.entries(tensors)) {
      arrays[name]?.dispose();
      arrays[name] = arrayOf(tensor);
    }
  };
  replace(Object.fromEntries(model.parameters.map(({ name, initial }) => [name, initial(seed)])));
  replace(await model.calibrate(arrays, batchAt(0)));
  let taken = 0;

  const evaluate: Evaluate<Batch> = (batch, other = model) => other.evaluate(arrays, batch);

  return {
    steps,
    ...(notes.length === 0 ? {} : { notes }),
    async step(step) {
      const batch = batchAt(step);
      const rate = learningRateAt({ peak: learningRate, steps, warmUp }, step);
      const tape = new Tape();
      try {
        const loss = await model.loss(tape, arrays, batch);
        const [value] = await loss.read();
        const gradients = await tape.backward(loss);
        const next = await optimiser.step(arrays, gradients, rate);
        arrays = next.parameters;
        taken = step + 1;
        return {
          loss: value,
          learningRate: rate,
          gradientNorm: next.gradientNorm,
          items: batch.targets.length,
        };
      } finally {
        tape.dispose();
      }
    },
    validate: () => training.validate(evaluate),
    async test() {
      return {
        ...(await training.test(evaluate)),
        ...(await model.measureScores(arrays, training.scoreBatch())),
        stateBytes: model.stateBytes(training.stateLength),
        parameters: model.parameterCount,
        ...(model.activeParameterCount === undefined ? {} : { activeParameters: model.activeParameterCount }),
      };
    },
    async snapshot(): Promise<Snapshot> {
      const tensors: Record<string, Tensor> = {};
      for (const { name, shape } of model.parameters) {
        tensors[name] = { data: (await arrays[name].ref.data()) as Float32Array, shape };
      }
      return { model: tensors, optimiser: await optimiser.snapshot(), state: { stepsTaken: taken } };
    },
    restore({ model: tensors, optimiser: moments, state }) {
      for (const { name, shape } of model.parameters) requireShape(name, tensors[name], shape);
      taken = Number(state["stepsTaken"]);
      optimiser.restore(moments, taken);
      replace(
        Object.fromEntries(
          model.parameters.map(({ name, shape }) => [
            name,
            { data: Float32Array.from(tensors[name].data), shape },
          ]),
        ),
      );
      return Promise.resolve();
    },
    dispose() {
      for (const array of Object.values(arrays)) array.dispose();
      arrays = {};
      optimiser.dispose();
      model.dispose();
      for (const own of training.owned ?? []) own.dispose();
    },
  };
}

function requireShape(
  name: string,
  tensor: { readonly shape: readonly number[] } | undefined,
  shape: readonly number[],
): void {
  if (tensor?.shape.length === shape.length && shape.every((extent, axis) => extent === tensor.shape[axis]))
    return;
  throw new ShapeError(
    "snapshot-shape",
    `Cannot restore '${name}' as its shape must be [${shape.join(", ")}]: ${tensor === undefined ? "it is missing" : `[${tensor.shape.join(", ")}]`}. ` +
      "Use a snapshot of the same model",
  );
}
