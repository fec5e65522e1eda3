/** @file The settings that all recipes with a decoder share: its sizes and its training. */
import * as v from "valibot";
import { type DecoderConfig } from "../models/index.ts";
import { type SettingEntries, whole } from "./setting-schemas.ts";

/** Settings of a recipe with a decoder. */
export interface DecoderSettings {
  /** Width of the residual stream. */
  readonly width: number;
  readonly layers: number;
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads; 0 (default) for as many as query heads. */
  readonly keyValueHeads: number;
  /** D, width of a head, and with it the state that it keeps; 0 (default) for width/H. */
  readonly headWidth: number;
  /** Tokens that queries, keys and values are convolved over, their own among them; 1 (default) for none. */
  readonly convolution: number;
  readonly norm: "rms" | "layer";
  readonly feedForward: "swiglu" | "gelu" | "none";
  readonly tiedHead: boolean;
  /** Sequences of a step. */
  readonly batch: number;
  readonly steps: number;
  /** Steps of the warm-up of the learning rate. */
  readonly warmUp: number;
}

/** Entries of a settings schema; recipes add their own and may set other defaults. */
export const decoderEntries: SettingEntries<DecoderSettings> = {
  width: v.optional(whole(1), 64),
  layers: v.optional(whole(1), 2),
  heads: v.optional(whole(1), 4),
  keyValueHeads: v.optional(whole(0), 0),
  headWidth: v.optional(whole(0), 0),
  convolution: v.optional(whole(1), 1),
  norm: v.optional(v.picklist(["rms", "layer"], "it must be rms or layer"), "rms"),
  feedForward: v.optional(
    v.picklist(["swiglu", "gelu", "none"], "it must be swiglu, gelu or none"),
    "swiglu",
  ),
  tiedHead: v.optional(v.boolean("it must be true or false"), true),
  batch: v.optional(whole(1), 16),
  steps: v.optional(whole(1), 300),
  warmUp: v.optional(whole(0), 20),
};

/** The part of a decoder's configuration that settings decide. */
export function decoderSizes(
  settings: DecoderSettings,
): Omit<DecoderConfig, "vocabulary" | "attention" | "maximumLength"> {
  const { width, layers, heads, keyValueHeads, headWidth, convolution, norm, feedForward, tiedHead } =
    settings;
  const chosen = {
    ...(keyValueHeads === 0 ? {} : { keyValueHeads }),
    ...(headWidth === 0 ? {} : { headWidth }),
  };
  return { width, layers, heads, ...chosen, convolution, norm, feedForward, tiedHead };
}
