/**
 * @file A text that the teacher writes itself, so that distilling needs no data: some texts side by side, sampled. Of
 * a chat model the turns of the user are sampled too, as in Xu et al. 2024, Magpie: each text begins with what the template puts
 * before a question, and so does whatever follows an end.
 */
import { random } from "../base/random.ts";
import { sampler, type SamplingOptions } from "../generation/index.ts";
import { arraysOf } from "../kernels/jax/tensors.ts";
import { type LoadedModel } from "../language/index.ts";
import { type Decoder } from "../models/index.ts";
import { type RenderChat, type Tokenizer } from "../text/index.ts";

/** Who writes. */
export interface TextWriter {
  readonly tokenizer: Tokenizer;
  readonly chat: RenderChat | undefined;
  readonly endTokens: readonly number[];
}

/** How much, and how. */
export interface GeneratedTextOptions {
  readonly tokens: number;
  /** Tokens of a text; at most the model's longest. */
  readonly length: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/** Texts that are written side by side. */
const sideBySide = 16;

/**
 * Below temperature 1, as a small model that draws from its whole distribution soon loses its thread, and what follows then teaches
 * nothing of the texts that it is for.
 */
const choosing: SamplingOptions = { temperature: 0.8, topP: 0.9, repetitionPenalty: 1.05 };

/**
 * Writes it.
 *
 * @param loaded - stays the caller's
 * @returns texts one after the other, at least `tokens` tokens
 */
export async function generatedText(
  { model, tensors }: LoadedModel<Decoder>,
  writer: TextWriter,
  { tokens, length, seed, onProgress, signal }: GeneratedTextOptions,
): Promise<Int32Array> {
  const opening = openingOf(writer);
  const ends = new Set(writer.endTokens);
  const rounds = Math.ceil(tokens / (sideBySide * length));
  const written: number[] = [];
  const arrays = arraysOf(tensors);
  for (let round = 0; round < rounds; round++) {
    const decoding = model.decode(arrays, { batch: sideBySide });
    const rows = Array.from({ length: sideBySide }, (_, row) => ({
      text: [] as number[],
      due: [...opening],
      choose: sampler(choosing, random(seed, "generated", round, row)),
    }));
    let logits: Float32Array | undefined;
    for (let at = 0; at < length; at++) {
      signal?.throwIfAborted();
      for (const [row, { text, due, choose }] of rows.entries()) {
        if (due.length === 0) {
          const start = row * model.config.vocabulary;
          due.push(choose(logits!.slice(start, start + writer.tokenizer.vocabularySize), text));
          if (ends.has(due[0])) due.push(...opening);
        }
        text.push(due.shift()!);
      }
      logits = (await decoding.step(Int32Array.from(rows, ({ text }) => text[at]))).data;
      onProgress?.(round * sideBySide * length + (at + 1) * sideBySide);
    }
    decoding.dispose();
    for (const { text } of rows) written.push(...text);
  }
  for (const array of Object.values(arrays)) array.dispose();
  return Int32Array.from(written);
}

/** What comes before a question, or before any text. */
function openingOf({ tokenizer, chat }: TextWriter): readonly number[] {
  const { begin, end } = tokenizer.specialTokens;
  if (chat !== undefined) {
    const mark = "\u2603";
    const [before] = chat([{ role: "user", content: mark }], { addGenerationPrompt: false }).split(mark);
    const opening = tokenizer.encode(before, { addSpecial: false });
    if (opening.length > 0) return [...opening];
  }
  return [begin ?? end ?? 0];
}
