/** @file What a group of heads keeps while a decoder generates, whatever it is. */
import { type Tensor } from "../base/tensor.ts";

/** Tensors of some tokens, by the names of the attention or the rule. */
export type TokenTensors = Readonly<Record<string, Tensor>>;

/** What a group keeps, token by token. */
export interface GroupState {
  /** Takes N ≥ 1 tokens and returns what their queries read, [B, H, N, E]. */
  take(inputs: TokenTensors): Tensor;
  /** Numbers that are kept now. */
  readonly size: number;
  dispose(): void;
}
