/**
 * @file What the training loop drives: something with steps, measurements and a state that can be saved exactly. A recipe
 * makes one from a task, an attention, a seed and a learning rate.
 */
import { type Tensor, type Tensor64 } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { type Nouns } from "../tasks/index.ts";

/** What one optimisation step tells. */
export interface StepReport {
  /** Absent where a step only measures (scaling). */
  readonly loss?: number;
  readonly learningRate?: number;
  /** Global norm of the gradient before clipping, where there is one. */
  readonly gradientNorm?: number;
  /** Tokens, labelled queries or pairs that the step learned from; `unit` of the recipe says which. */
  readonly items: number;
}

/** Named measurements; a number that does not exist for a run is left out, never faked. */
export type Metrics = Readonly<Record<string, number>>;

/** Everything needed to go on with the same numbers. */
export interface Snapshot {
  readonly model: Readonly<Record<string, Tensor | Tensor64>>;
  readonly optimiser: Readonly<Record<string, Tensor | Tensor64>>;
  /** Counters and whatever is not a tensor; data come from (seed, step) and need no position. */
  readonly state: Readonly<Record<string, number | string | readonly number[]>>;
}

/** A run in memory. */
export interface Trainable {
  /** How many steps the run has. */
  readonly steps: number;
  /** Performs step number `step` (from 0); the same step after the same snapshot gives the same numbers. */
  step(step: number): Promise<StepReport>;
  /** Measures on validation data; holds the recipe's `selectBy` metric. */
  validate(): Promise<Metrics>;
  /** Measures on test data, with the common metrics: largestLogit, entropy, stateBytes, parameters. */
  test(): Promise<Metrics>;
  snapshot(): Promise<Snapshot>;
  restore(snapshot: Snapshot): Promise<void>;
  dispose(): void;
}

/** Which way a metric is better. */
export type Better = "lower" | "higher";

/** A metric's name in results, its unit and its direction. */
export interface MetricDefinition {
  readonly name: string;
  readonly unit: string;
  readonly better: Better;
}

/** What a recipe needs from outside: texts and word lists from packages, files or a network place, and the process's memory. */
export interface DataSource {
  /** A text by the name of a book, or by a path that the source understands. */
  readonly text: (name: string) => Promise<string>;
  /** The nouns of WordNet 3.0. */
  readonly nouns: () => Promise<Nouns>;
  /** Bytes of memory that the process holds now; absent where nothing tells. */
  readonly residentBytes?: () => number;
}

/** What a recipe is asked to train. */
export interface RunRequest<Settings> {
  /** Selector of the attention; the recipe adds its default pattern and position where it names none. */
  readonly selector: string;
  readonly seed: number;
  readonly learningRate: number;
  readonly settings: Settings;
  readonly data: DataSource;
  /** Computes the attentions by fused kernels; jax-js when absent. */
  readonly engine?: WasmEngine | undefined;
}

/** A task joined with a model: how a cell of a comparison is trained and measured. */
export interface Recipe<Settings extends object = object> {
  /** The task's name on the command line. */
  readonly task: string;
  /** The metric of the table's cells; `validate()` and `test()` both hold it. */
  readonly metric: MetricDefinition;
  /** Whether it takes similarities only, which compare pairs, and no rules of the recurrent class. */
  readonly comparesPairs?: boolean;
  /** What `StepReport.items` counts, such as "tokens" or "pairs". */
  readonly unit: string;
  /** Settings with every default filled in; throws DomainError for unknown or bad ones. */
  readonly settings: (overrides: Readonly<Record<string, unknown>>) => Settings;
  /** The settings that have no effect under the others, each with the setting that makes it so: `router` with `experts`. */
  readonly idle?: (settings: Settings) => Readonly<Record<string, string>>;
  /** Learning rates to try when none is given, ascending. */
  readonly learningRates: (settings: Settings, selector: string) => readonly number[];
  readonly create: (request: RunRequest<Settings>) => Promise<Trainable>;
}
