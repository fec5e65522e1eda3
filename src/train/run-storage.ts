/**
 * @file Where a run is kept: what the training loop needs of a run folder, so that it runs in a page as well. Node's is in
 * `run-folder.node.ts`.
 */
import { type Metrics, type Snapshot, type StepReport } from "./trainable.ts";

/** What decides the numbers of a run. */
export interface RunIdentity {
  readonly task: string;
  readonly selector: string;
  readonly seed: number;
  readonly learningRate: number;
  readonly settings: Readonly<Record<string, unknown>>;
  /** What computes attentions (default `wasm`, the fused kernels): two devices round differently. */
  readonly device?: TrainingDevice;
}

/** What can compute the attentions of a model in training: the fused kernels, or the composition on jax-js. */
export type TrainingDevice = "wasm" | "jax";

/** One line of `metrics.jsonl`: what one step told, and how long it took. */
export interface StepRecord extends StepReport {
  readonly step: number;
  readonly timeMs: number;
}

/** What a finished run says about itself. */
export interface RunSummary extends RunIdentity {
  readonly steps: number;
  readonly validation: Metrics;
  readonly test: Metrics;
  /** Median time of a step. */
  readonly stepMs: number;
  /** Time of all steps, without measurements and checkpoints. */
  readonly trainMs: number;
  /** Largest memory of the process, where it can be known. */
  readonly peakMemoryBytes?: number;
  /** What a reader must know beside the numbers. */
  readonly notes?: readonly string[];
}

/** Everything to go on from. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  readonly snapshot: Snapshot;
}

/** Keeps one run. */
export interface RunStorage {
  /** The last complete checkpoint. */
  readCheckpoint(): Promise<Checkpoint | undefined>;
  /** Keeps a checkpoint and drops older ones. */
  writeCheckpoint(checkpoint: Checkpoint): Promise<void>;
  /** The records of steps before `step`; those from there on are dropped, as the run goes on from it. */
  rewindMetrics(step: number): Promise<readonly StepRecord[]>;
  appendMetrics(record: StepRecord): Promise<void>;
  /** The summary of a run that is done. */
  readSummary(): Promise<RunSummary | undefined>;
  /** Marks the run as done. */
  finish(summary: RunSummary): Promise<void>;
  /** Marks the run as failed. */
  fail(error: unknown): Promise<void>;
  /** Lets go of a run that is neither done nor failed. */
  release(): Promise<void>;
}
