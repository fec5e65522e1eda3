/** @file The options of `swap`. */
import type { Calibration } from "../../swap/index.ts";
import { type FormatOptions } from "../printing.ts";

/** The flags as commander gives them. */
export interface SwapFlags extends FormatOptions {
  readonly model?: string;
  readonly attention?: readonly string[];
  /** Folders of `distil`. */
  readonly adapter?: readonly string[];
  readonly layers?: readonly number[];
  readonly heads?: readonly number[];
  readonly eachLayer?: boolean;
  readonly eval?: string;
  readonly calibrate: Calibration;
  readonly context: number;
  readonly tokens: number;
  readonly prompt?: string;
  readonly newTokens: number;
  readonly needles: number;
  readonly seed: number;
  readonly out: string;
  readonly resume?: string;
  readonly maxTime?: number;
  readonly threads?: number;
}
