/** @file What the layers of a decoder are, and what it asks of those who compute them: stages of jax-js, or fused blocks. */
import { type numpy as np } from "@jax-js/jax";
import { type Tape, type Value } from "../autodiff/index.ts";
import { type Values } from "./assemble-model.ts";
import { type AttentionLayer } from "./attention-layer.ts";
import { type FeedForwardBlock, type NormBlock } from "./decoder-blocks.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";
import { type RoutedFeedForward } from "./routed-feed-forward.ts";

/** One layer: its attention, and the blocks before and after it. */
export interface DecoderLayer {
  readonly attention: AttentionLayer;
  readonly norm: NormBlock;
  readonly feedForward: FeedForwardBlock | undefined;
  /** Experts, in place of a feed-forward. */
  readonly routed: RoutedFeedForward | undefined;
}

/** What layers give to a model's last stage. */
export interface LayersResult {
  readonly inputs: Values;
  /** What layers with experts add to the loss. */
  readonly balances: readonly Value[];
}

/** Layers that can run. */
export interface ComputedLayers {
  /**
   * On the tape: everything from tokens to what {@link ComputedLayers.rows} reads, beside the parameters that `reads` names.
   *
   * @param inputs - `tokens` (int32, [B, N]), and `places` [N, width] where places are sines and cosines; released
   */
  run(tape: Tape, inputs: Values, values: Values, observe?: LayerObserver): Promise<LayersResult>;
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
