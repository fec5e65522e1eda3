/**
 * @file A decoder that reads and writes one text. How the logits of the next token are computed need not concern those who generate,
 * serve or measure.
 */
import { type numpy as np } from "@jax-js/jax";
import { arraysOf } from "../kernels/jax/tensors.ts";
import { type NextToken } from "../generation/index.ts";
import { type Decoder, type Decoding } from "../models/index.ts";
import { type LoadedModel } from "./load-decoder.ts";

/** A model in the middle of a text, until it is disposed. */
export interface TextSession extends NextToken {
  /** Frees what the text has left; the model stays. */
  dispose(): void;
}

/** A loaded model whose weights are where they are computed with. */
export interface TextModel {
  /**
   * Begins a text, from an empty past; texts do not know of each other.
   *
   * @param signal - ends what the text waits for, with its reason
   */
  begin(signal?: AbortSignal): TextSession;
  /** Why an engine does not hold the weights though it was given: stages compute then, more slowly. */
  readonly byStages?: string;
  /** Frees the weights and the model; its texts must have ended. */
  dispose(): void;
}

/** Of a prompt at once: as many as the products are large enough for, and no more than memory for their scores. */
const prefillTokens = 512;

/** Everything is computed on this thread: others, such as those who interrupt, are heard between tokens. */
const pause = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve);
  });

/**
 * Makes a loaded model ready to read and write texts.
 *
 * @param loaded - becomes the text model's, and is disposed with it
 * @example
 * ```ts
 * import { startJax } from "qklab/jax";
 * import { textModel } from "qklab/language";
 * import { decoder } from "qklab/models";
 * await startJax();
 * const model = decoder({ vocabulary: 8, width: 8, layers: 1, heads: 2, attention: "dot+rope+causal", maximumLength: 16 });
 * const tensors = Object.fromEntries(model.parameters.map(({ name, initial }) => [name, initial(1)]));
 * const texts = textModel({ model, tensors });
 * const session = texts.begin();
 * const logits = await session.prefill([1, 2, 3]); // [8]
 * session.length; // 3
 * session.dispose();
 * texts.dispose();
 * ```
 */
export function textModel({ model, tensors }: LoadedModel<Decoder>): TextModel {
  const arrays: Record<string, np.Array> = arraysOf(tensors);
  return textsOf({
    config: model.config,
    start: () => model.decode(arrays),
    dispose() {
      for (const array of Object.values(arrays)) array.dispose();
      model.dispose();
    },
  });
}

/** What begins decodings of one sequence: a decoder with its arrays, or one in an engine's memory. */
export interface TextSource {
  readonly config: { readonly maximumLength: number };
  start(): Decoding;
  dispose(): void;
}

/** Texts over decodings. */
export function textsOf(source: TextSource): TextModel {
  return {
    begin(signal) {
      const decoding = source.start();
      const take = async (tokens: Int32Array): Promise<Float32Array> => {
        signal?.throwIfAborted();
        const { data } = await decoding.take(tokens);
        await pause();
        return data;
      };
      return {
        maximumLength: source.config.maximumLength,
        get length() {
          return decoding.length;
        },
        async prefill(tokens) {
          const given = Int32Array.from(tokens);
          const lastFrom = Math.max(0, Math.ceil(given.length / prefillTokens) - 1) * prefillTokens;
          for (let from = 0; from < lastFrom; from += prefillTokens) {
            await take(given.subarray(from, from + prefillTokens));
          }
          return take(given.subarray(lastFrom));
        },
        step: (token) => take(Int32Array.of(token)),
        dispose: () => decoding.dispose(),
      };
    },
    dispose: () => source.dispose(),
  };
}
