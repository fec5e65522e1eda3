/** @file The blocks of a sequence that grows: the mean key of every block that is full, and the sum of the one that is not. */
import { type ChoiceArithmetic } from "./choice-arithmetic.ts";
import { type FollowedChoice, type FollowedHeads } from "./selection.ts";

/**
 * Follows keys into their blocks.
 *
 * @param options - places of a block, and how many blocks before its own a query sees
 */
export function followBlocks(
  { queryHeads, keyHeads, width }: FollowedHeads,
  { block, k }: { readonly block: number; readonly k: number },
  arithmetic: ChoiceArithmetic,
): FollowedChoice {
  const heads = Array.from({ length: keyHeads }, () => new BlockMeans(width));
  let length = 0;
  return {
    isOwnLast: false,
    get size() {
      return heads.reduce((sum, means) => sum + means.size, 0);
    },
    append(keys, count) {
      for (let index = 0; index < count; index++) {
        length += 1;
        heads.forEach((means, head) => {
          const from = (head * count + index) * width;
          means.add(keys.subarray(from, from + width));
          if (length % block === 0) means.close(block);
        });
      }
    },
    found(queries) {
      const own = Math.floor((length - 1) / block);
      return Array.from({ length: queryHeads }, (_, head) => {
        const means = heads[Math.floor((head * keyHeads) / queryHeads)].before(own);
        const query = queries.subarray(head * width, (head + 1) * width);
        const best = arithmetic.largest(query, means, width, Int32Array.of(own), k).map(([place]) => place);
        return placesOf(
          [...best.filter((place) => place >= 0).toSorted((a, b) => a - b), own],
          block,
          length,
        );
      });
    },
  };
}

/** The places of blocks, of which the last may not be full. */
function placesOf(blocks: readonly number[], block: number, length: number): Int32Array {
  const last = length - blocks.at(-1)! * block;
  const places = new Int32Array((blocks.length - 1) * block + last);
  for (let index = 0; index < places.length; index++) {
    places[index] = blocks[Math.floor(index / block)] * block + (index % block);
  }
  return places;
}

/** Of one head. */
class BlockMeans {
  readonly #width: number;
  readonly #sum: Float64Array;
  #means: Float32Array = new Float32Array();
  #blocks = 0;

  constructor(width: number) {
    this.#width = width;
    this.#sum = new Float64Array(width);
  }

  get size(): number {
    return (this.#blocks + 1) * this.#width;
  }

  add(key: Float32Array): void {
    for (let d = 0; d < this.#width; d++) this.#sum[d] += key[d];
  }

  /** Ends a block of so many keys. */
  close(count: number): void {
    const at = this.#blocks * this.#width;
    if (at === this.#means.length) {
      const larger = new Float32Array(Math.max(this.#width, 2 * at));
      larger.set(this.#means);
      this.#means = larger;
    }
    this.#sum.forEach((sum, d) => (this.#means[at + d] = sum / count));
    this.#sum.fill(0);
    this.#blocks += 1;
  }

  /** Means of the first blocks, [blocks, D]. */
  before(blocks: number): Float32Array {
    return this.#means.subarray(0, blocks * this.#width);
  }
}
