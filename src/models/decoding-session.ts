/**
 * @file What every model's decoding is outwardly: tokens taken in turn, one or many at once, counted and checked, until it is disposed.
 * Models differ in how they compute and in what they keep.
 */
import { ShapeError, UnsupportedError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { requireTokens } from "./token-checks.ts";

/** A model while it generates. Made by `decoder(…).decode`. */
export interface Decoding {
  /**
   * Takes the next token of every sequence.
   *
   * @param tokens - [B]
   * @returns logits of the token after it, [B, V]
   * @throws ShapeError `decoder-tokens`, `decoder-length`; DomainError `decoder-token`; UnsupportedError `decoding-disposed`
   */
  step(tokens: Int32Array): Promise<Tensor>;
  /**
   * Takes the next N tokens of every sequence in one pass, such as a prompt: what is kept, and the logits, are those of N steps.
   *
   * @param tokens - [B, N], N ≥ 1
   * @returns logits of the token after the last, [B, V]
   * @throws as {@link Decoding.step}
   */
  take(tokens: Int32Array): Promise<Tensor>;
  /** Tokens that were taken. */
  readonly length: number;
  /** Bytes that all mixers keep now, in f32, for all sequences. */
  readonly stateBytes: number;
  /** Frees what is kept; the arrays stay the caller's. */
  dispose(): void;
}

/** What decodings of one model share. */
export interface DecodingStages<Weights> {
  /** @param weights - of the model; they stay the caller's, and must outlive the decoding */
  start(weights: Weights, batch: number): Decoding;
  dispose(): void;
}

/** A model's own part of a decoding. */
export interface DecodingParts {
  /** B */
  readonly batch: number;
  readonly config: { readonly vocabulary: number; readonly maximumLength: number };
  /**
   * @param tokens - [B, N], checked
   * @param first - tokens that every sequence has before them
   * @returns logits after the last, [B, V]
   */
  readonly compute: (tokens: Int32Array, first: number) => Promise<Float32Array> | Float32Array;
  /** Numbers that are kept now. */
  readonly size: () => number;
  readonly release: () => void;
}

/** Begins a decoding. */
export function decodingSession({ batch, config, compute, size, release }: DecodingParts): Decoding {
  const { vocabulary, maximumLength } = config;
  let length = 0;
  let isDisposed = false;
  let turn: Promise<unknown> = Promise.resolve();

  const taken = async (tokens: Int32Array): Promise<Tensor> => {
    if (isDisposed) refuseDisposed();
    const count = tokens.length / batch;
    requireRoom(length, count, maximumLength);
    requireTokens(tokens, vocabulary);
    const data = await compute(tokens, length);
    length += count;
    return { data, shape: [batch, vocabulary] };
  };
  // One after the other, also where somebody does not wait.
  const inTurn = (tokens: Int32Array, requireShape: typeof requireOneEach): Promise<Tensor> => {
    const result = turn.then(() => {
      requireShape(tokens, batch);
      return taken(tokens);
    });
    turn = result.catch(() => undefined);
    return result;
  };
  return {
    step: (tokens) => inTurn(tokens, requireOneEach),
    take: (tokens) => inTurn(tokens, requireSequences),
    get length() {
      return length;
    },
    get stateBytes() {
      return 4 * size();
    },
    dispose() {
      if (!isDisposed) release();
      isDisposed = true;
    },
  };
}

function requireOneEach(tokens: Int32Array, batch: number): void {
  if (tokens.length === batch) return;
  throw new ShapeError(
    "decoder-tokens",
    `Cannot decode as a step takes one token of every sequence: ${tokens.length} tokens, batch ${batch}. Pass [B] tokens`,
  );
}

function requireSequences(tokens: Int32Array, batch: number): void {
  if (tokens.length > 0 && tokens.length % batch === 0) return;
  throw new ShapeError(
    "decoder-tokens",
    `Cannot decode as every sequence takes as many tokens, one at least: ${tokens.length} tokens, batch ${batch}. ` +
      "Pass [B, N] tokens",
  );
}

function requireRoom(length: number, count: number, maximumLength: number): void {
  if (length + count <= maximumLength) return;
  throw new ShapeError(
    "decoder-length",
    `Cannot decode as a sequence may have at most maximumLength tokens: ${length} were taken, and ${maximumLength} are allowed. ` +
      "Start again, or make the decoder with a larger maximumLength",
  );
}

function refuseDisposed(): never {
  throw new UnsupportedError(
    "decoding-disposed",
    "Cannot decode as what mixers keep must be there: it was disposed. Start again with decode()",
  );
}
