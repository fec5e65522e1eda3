/** @file What a model is to those who train, measure and store it: named tensors, a loss on the tape, and no state of its own. */
import { type numpy as np } from "@jax-js/jax";
import { type Tape, type Value } from "../autodiff/index.ts";
import { sizeOf, type Tensor } from "../base/tensor.ts";

/** A tensor that training moves. */
export interface ModelParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether weight decay applies. */
  readonly decays: boolean;
  /** Its numbers before training. */
  readonly initial: (seed: number) => Tensor;
}

/** A model's tensors on the device, by name. */
export type ModelArrays = Readonly<Record<string, np.Array>>;

/** What a loss is made of: a model's tensors, and in place of any of them a value of the tape, which is another's to train. */
export type LossInputs = Readonly<Record<string, np.Array | Value>>;

/** What a model says about every label, without gradient. */
export interface LabelResults {
  /** −ln p of the label, in nats. */
  readonly losses: Float32Array;
  /** The likeliest class. */
  readonly predicted: Int32Array;
}

/** What the scores of all attentions look like on a batch. */
export interface ScoreStatistics {
  /** Largest size of a score; absent where nothing has scores, as among recurrences. */
  readonly largestLogit?: number;
  /** Mean over rows of −Σ w ln w, in nats; absent where some weights are raw scores. */
  readonly entropy?: number;
  /** With experts: the share of choices that capacity drops in training, mean over layers. */
  readonly droppedShare?: number;
  /** With experts: what joins the loss for uneven loads, sum over layers. */
  readonly balanceLoss?: number;
  /** With experts: the share of all choices of the most wanted expert (1), the next one (2)…, mean over layers. */
  readonly [expertLoad: `expertLoad${number}`]: number;
}

/** A model over batches of one kind. */
export interface Model<Batch> {
  readonly parameters: readonly ModelParameter[];
  readonly parameterCount: number;
  /** Parameters that one token meets; absent where it meets all, as without experts. */
  readonly activeParameterCount?: number;
  /** The mean loss of a batch's labels, in nats, on a tape that can go backward. */
  loss(tape: Tape, arrays: LossInputs, batch: Batch): Promise<Value>;
  evaluate(arrays: ModelArrays, batch: Batch): Promise<LabelResults>;
  /**
   * The held values of every temperature that is `auto`, turned so that the rows of each head's scores have unit standard
   * deviation on this batch, layer by layer.
   */
  calibrate(arrays: ModelArrays, batch: Batch): Promise<Readonly<Record<string, Tensor>>>;
  measureScores(arrays: ModelArrays, batch: Batch): Promise<ScoreStatistics>;
  /** Bytes that inference keeps per sequence of `length` tokens. */
  stateBytes(length: number): number;
  dispose(): void;
}

/** How many numbers the parameters have. */
export function countParameters(parameters: readonly ModelParameter[]): number {
  return parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
