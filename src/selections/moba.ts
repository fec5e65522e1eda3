/** @file Mixture of block attention: a query sees its own block and the blocks whose mean key it likes best. */
import { integerOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { choiceArithmetic } from "./choice-arithmetic.ts";
import { followBlocks } from "./moba-blocks.ts";
import { type HeadVectors, type Selection } from "./selection.ts";

/** Options of {@link moba}. */
export interface MobaOptions {
  /** Places of a block, at least 1. */
  readonly block: number;
  /** Blocks before its own that a query sees, at least 1. */
  readonly k: number;
}

const mostBlocks = 64;

/**
 * Keeps the keys of a query's own block, and of the k blocks before it with the largest gates g_im = q_i·mean(keys of
 * block m); of equal gates those of the lower block. Blocks are counted from place 0. The pattern must be causal: a block
 * before one's own has no later key, so that no gate sees the future. Gradients flow through kept pairs only, not through
 * gates.
 *
 * The paper's top k has the own block among them: its k is ours plus one.
 *
 * @param options - `block`: places; `k`: blocks beside the own one
 * @example
 * ```ts
 * import { attention, causal, dot, moba } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: causal(), selection: moba({ block: 256, k: 3 }) });
 * ```
 */
export const moba: PartFactory<Selection, MobaOptions> = definePart<Selection, MobaOptions>(
  {
    kind: "selection",
    selector: "moba",
    formula: "own block, and the k blocks before it with the largest q_i·mean(k_j of the block)",
    source: "Lu et al. 2025, MoBA: Mixture of Block Attention for Long-Context LLMs, section 2.2",
    rules: {
      block: integerOption(1, true),
      k: {
        allowed: `a whole number of [1, ${mostBlocks}]`,
        accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= mostBlocks,
        required: true,
      },
    },
  },
  ({ block, k }) => ({
    keep: (scores) => [...scores.keys()],
    limit: undefined,
    needsCausal: true,
    choose(head, arithmetic = choiceArithmetic) {
      const { queries, keys, width, offset } = head;
      const count = queries.length / width;
      const keyCodes = blocksOf(0, keys.length / width, block);
      const means = meansOf(head, block);
      const blocks = means.length / width;
      const own = blocksOf(offset, count, block);
      const earlier = own.map((number) => Math.max(0, Math.min(number, blocks)));
      const codes = [own, ...arithmetic.largest(queries, means, width, earlier, k)];
      return {
        rounds: codes.map((queryCodes) => ({ queryCodes, keyCodes })),
        reach: 0,
        isDisjoint: true,
        isOwnLast: false,
      };
    },
    follow: (heads, arithmetic = choiceArithmetic) => followBlocks(heads, { block, k }, arithmetic),
    followedNumbers: (length, width) => (Math.floor(length / block) + 1) * width,
  }),
);

/** The blocks of so many places from `first` on, ⌊place/block⌋ each. */
function blocksOf(first: number, count: number, block: number): Int32Array {
  const numbers = new Int32Array(count);
  let number = Math.floor(first / block);
  for (let start = number * block - first; start < count; start += block) {
    numbers.fill(number++, Math.max(0, start), Math.min(start + block, count));
  }
  return numbers;
}

/** The mean key of every block, [blocks, D]. */
function meansOf({ keys, width }: HeadVectors, block: number): Float32Array {
  const count = keys.length / width;
  const means = new Float32Array(Math.ceil(count / block) * width);
  const sums = new Float64Array(width);
  for (let start = 0; start < count; start += block) {
    const stop = Math.min(start + block, count);
    const at = (start / block) * width;
    sums.fill(0);
    for (let from = start * width; from < stop * width; from += width) {
      for (let d = 0; d < width; d++) sums[d] += keys[from + d];
    }
    for (let d = 0; d < width; d++) means[at + d] = sums[d] / (stop - start);
  }
  return means;
}
