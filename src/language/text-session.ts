/**
 * @file A decoder that reads and writes one text. How the logits of the next token are computed is chosen here alone, so that those who
 * generate, serve or measure need not know.
 */
import { type numpy as np } from "@jax-js/jax";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type NextToken } from "../generation/index.ts";
import { type Decoder } from "../models/index.ts";
import { type LoadedModel } from "./load-decoder.ts";

/** A model in the middle of a text, until it is disposed. */
export interface TextSession extends NextToken {
  /** Frees what the text has left; the model stays. */
  dispose(): void;
}

/** A loaded model whose weights are where they are computed with. */
export interface TextModel {
  /** Begins a text, from an empty past; texts do not know of each other. */
  begin(): TextSession;
  /** Frees the weights and the model; its texts must have ended. */
  dispose(): void;
}

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
  const arrays: Record<string, np.Array> = Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, arrayOf(tensor)]),
  );
  return {
    begin() {
      const decoding = model.decode(arrays);
      return {
        maximumLength: model.config.maximumLength,
        get length() {
          return decoding.length;
        },
        prefill: async (tokens) => (await decoding.take(Int32Array.from(tokens))).data,
        step: async (token) => (await decoding.step(Int32Array.of(token))).data,
        dispose: () => decoding.dispose(),
      };
    },
    dispose() {
      for (const array of Object.values(arrays)) array.dispose();
      model.dispose();
    },
  };
}
