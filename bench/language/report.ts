/** @file What the benchmark of a language model found, as the one document that `--json` prints. */
import { type PartsReport } from "../attention/report.ts";

/** Tokens a second of somebody at something. */
export interface Rate {
  readonly contestant: string;
  readonly case: string;
  readonly tokens_per_s: number;
  readonly quartiles_per_s: readonly [number, number];
}

/** What comes before the first token, in processes that were just started: the median of some of them. */
export interface Start {
  readonly contestant: string;
  readonly processes: number;
  /** Until the model can take a prompt. */
  readonly load_ms: number;
  readonly load_quartiles_ms: readonly [number, number];
  /** The first prompt, for which kernels are compiled and memory is taken. */
  readonly first_ms: number;
  readonly first_quartiles_ms: readonly [number, number];
  /** The same prompt once more. */
  readonly second_ms: number;
  readonly second_quartiles_ms: readonly [number, number];
}

/** What was found. */
export interface LanguageReport extends PartsReport<"language"> {
  readonly rates: readonly Rate[];
  readonly starts: readonly Start[];
  /** Tokens of the prompt of {@link starts}. */
  readonly start_tokens: number;
}
