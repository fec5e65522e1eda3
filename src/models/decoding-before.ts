/** @file Queries, keys and values of the last tokens while a decoder generates, as far as a convolution reaches. */
import { type Tape, type Value } from "../autodiff/index.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type ConvolvedHeads } from "./convolved-heads.ts";
import { joined, lastRows } from "./decoding-states.ts";

/** Queries, keys and values of the last tokens. */
export class TokensBefore {
  readonly #convolution: ConvolvedHeads | undefined;
  readonly #kept: Record<string, Tensor> = {};

  constructor(convolution: ConvolvedHeads | undefined) {
    this.#convolution = convolution;
  }

  /** Numbers that are kept now. */
  get size(): number {
    return Object.values(this.#kept).reduce((sum, { data }) => sum + data.length, 0);
  }

  /**
   * The tokens before these, as values; the last of all are kept.
   *
   * @param projected - [B, heads, N, D] by name
   */
  async take(
    tape: Tape,
    projected: Readonly<Record<string, Value>>,
  ): Promise<Readonly<Record<string, Value>>> {
    const { convolved = [], reach = 0 } = this.#convolution ?? {};
    const before: Record<string, Value> = {};
    for (const name of convolved) {
      const tokens = await projected[name].tensor();
      const [batch, heads, , width] = tokens.shape;
      const kept = this.#kept[name] ?? {
        data: new Float32Array(batch * heads * reach * width),
        shape: [batch, heads, reach, width],
      };
      before[name] = tape.constant(arrayOf(kept));
      this.#kept[name] = lastRows(joined(kept, tokens), reach);
    }
    return before;
  }
}
