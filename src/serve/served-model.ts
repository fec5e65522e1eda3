/** @file What a server needs of a model: texts to read and write, the way from text to tokens and back, and its attentions. */
import { type TextModel } from "../language/index.ts";
import { type RenderChat, type Tokenizer } from "../text/index.ts";

/** The attentions of a model, to be looked at. */
export interface ModelAttentions {
  /** Of every layer, the selector that each of its heads has. */
  readonly selectors: readonly (readonly string[])[];
  /** Reads what weights are computed from; once is enough. */
  prepare(): Promise<void>;
  /**
   * The weights of a layer's heads over N tokens.
   *
   * @param tokens - [N]
   * @returns of every head [N, N], each row of sum 1; undefined where it has no weights
   */
  weights(tokens: Int32Array, layer: number): Promise<readonly (Float32Array | undefined)[]>;
}

/** A model that is served. */
export interface ServedModel {
  /** What clients call it. */
  readonly id: string;
  /** Tokens of prompt and answer together. */
  readonly contextLength: number;
  readonly tokenizer: Tokenizer;
  /** The most bytes that a token has. */
  readonly longestToken: number;
  /** Undefined where the model has no chat form. */
  readonly chat: RenderChat | undefined;
  readonly endTokens: readonly number[];
  readonly texts: Pick<TextModel, "begin">;
  readonly attentions: ModelAttentions;
}
