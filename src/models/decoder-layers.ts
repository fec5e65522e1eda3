/** @file What the layers of a decoder are, and what it asks of those who compute them: stages of jax-js, or fused blocks. */
import { type numpy as np } from "@jax-js/jax";
import { type ResidualBlock, type Tape, type Value } from "../autodiff/index.ts";
import { type Values } from "./assemble-model.ts";
import { type AttentionLayer } from "./attention-layer.ts";
import { type FeedForwardBlock, type NormBlock } from "./decoder-blocks.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";

/** One layer: its attention, and the blocks before and after it. */
export interface DecoderLayer {
  readonly attention: AttentionLayer;
  readonly norm: NormBlock;
  readonly feedForward: FeedForwardBlock | undefined;
}

/** A layer's attention, or its feed-forward, as a block on the tape that adds to x. */
export interface DecoderBlock extends ResidualBlock {
  /** @param observe - sees the attention; a feed-forward has nothing to see */
  run(tape: Tape, x: Value, values: Values, observe?: LayerObserver): Promise<Value>;
  dispose(): void;
}

/** Tokens to the residual stream on the tape; inputs as those of {@link ComputedLayers.run}. */
export interface ComputedEmbedding {
  run(tape: Tape, inputs: Values, values: Values): Promise<Value>;
  dispose(): void;
}

/** Layers that can run. */
export interface ComputedLayers {
  /**
   * On the tape: everything from tokens to what {@link ComputedLayers.rows} reads, beside the parameters that `reads` names.
   *
   * @param inputs - `tokens` (int32, [B, N]), and `places` [N, width] where places are sines and cosines; released
   */
  run(tape: Tape, inputs: Values, values: Values, observe?: LayerObserver): Promise<Values>;
  readonly reads: readonly string[];
  /**
   * Inside the stage after the layers: their rows, [B·N, width].
   *
   * @param arrays - consumed
   */
  rows(arrays: ModelArrays): np.Array;
  dispose(): void;
}

/** The mean loss of the labels. */
export interface ComputedLoss {
  /**
   * @param inputs - what the layers gave, the parameters that they and the head read, `targets`, and `positions` where not
   *   all places have a label
   */
  run(tape: Tape, inputs: Values): Promise<Value>;
  dispose(): void;
}

export function namesOf({
  parameters,
}: {
  readonly parameters: readonly ModelParameter[];
}): readonly string[] {
  return parameters.map(({ name }) => name);
}

/** [B, N, width] to [B·N, width]. */
export const rowsOf = (x: np.Array): np.Array => x.reshape([x.shape[0] * x.shape[1], x.shape[2]]);
