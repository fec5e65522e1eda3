/** @file What a run of the benchmark found, as the one document that `--json` prints. */
import { type Description } from "../protocol.ts";
import { type Machine } from "../machine.ts";
import { type Preset } from "../options.ts";
import { type Goal } from "./goal.ts";

/** A contestant that could not take part, in all cases or in one. */
export interface Absence {
  readonly peer: string;
  readonly case?: string;
  readonly reason: string;
}

/** A contestant whose results are not those of the attention; it was not timed. */
export interface Wrong {
  readonly peer: string;
  readonly case: string;
  /** The largest error over the largest number. */
  readonly error: number;
}

/** A time at one length. */
export interface CurvePoint {
  readonly series: string;
  readonly length: number;
  readonly time_ms: number;
}

/** Everything that the parts of a benchmark found. */
export interface PartsReport<Name extends string = string> {
  readonly benchmark: Name;
  readonly preset: Preset;
  readonly rounds: number;
  readonly threads: number;
  readonly date: string;
  readonly commit: string | null;
  readonly machine: Machine;
  readonly contestants: readonly ({ readonly name: string } & Description)[];
  readonly goals: readonly Goal[];
  readonly absent: readonly Absence[];
  readonly wrong: readonly Wrong[];
  readonly curves: readonly CurvePoint[];
  /** What else was measured, such as GFLOP/s of the micro-kernel. */
  readonly facts: Readonly<Record<string, number>>;
}

/** What the benchmark of the fused attentions found. */
export type AttentionReport = PartsReport<"attention">;
