/** @file An explicit list of allowed blocks of the score matrix. */
import { DomainError } from "../base/errors.ts";
import { integerOption, textOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Pattern } from "./pattern.ts";

/** Options of {@link block}. */
export interface BlockOptions {
  /** Places of a block's side. */
  readonly size: number;
  /** Allowed blocks as `query-key` block numbers joined by `/`, such as `0-0/1-0/1-1`. */
  readonly list: string;
}

/**
 * Only the listed size × size blocks of the score matrix are allowed.
 *
 * @param options - `size`: places, at least 1; `list`: pairs of block numbers, such as `0-0/1-0/1-1`
 * @throws DomainError `block-list` when the list is not of that form
 * @example
 * ```ts
 * import { attention, block, dot } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: block({ size: 16, list: "0-0/1-0/1-1" }) });
 * ```
 */
export const block: PartFactory<Pattern, BlockOptions> = definePart<Pattern, BlockOptions>(
  {
    kind: "pattern",
    selector: "block",
    formula: "(⌊i/size⌋, ⌊j/size⌋) in the list",
    source: "Gray, Radford & Kingma 2017, GPU Kernels for Block-Sparse Weights",
    rules: {
      size: integerOption(1, true),
      list: textOption("pairs of block numbers, such as 0-0/1-0/1-1", true),
    },
  },
  ({ size, list }) => {
    const keyBlocks = parseBlockList(list);
    const blocksOf = (queryPlace: number): ReadonlySet<number> =>
      keyBlocks.get(Math.floor(queryPlace / size)) ?? new Set();
    return {
      allows: (queryPlace, key) => blocksOf(queryPlace).has(Math.floor(key / size)),
      keyRange: (queryPlace, keys) => {
        const blocks = [...blocksOf(queryPlace)];
        return blocks.length === 0
          ? [0, 0]
          : [Math.min(...blocks) * size, Math.min(keys, (Math.max(...blocks) + 1) * size)];
      },
      causal: false,
    };
  },
);

/** Query block to the key blocks that it sees. */
export function parseBlockList(list: string): ReadonlyMap<number, ReadonlySet<number>> {
  const keyBlocks = new Map<number, Set<number>>();
  for (const pair of list.split("/")) {
    const match = /^(\d{1,9})-(\d{1,9})$/.exec(pair.trim());
    if (match === null) {
      throw new DomainError(
        "block-list",
        `Cannot read a block list as each entry must be two block numbers joined by '-': '${pair}'. Write 0-0/1-0/1-1`,
      );
    }
    const [queryBlock, keyBlock] = [Number(match[1]), Number(match[2])];
    keyBlocks.set(queryBlock, (keyBlocks.get(queryBlock) ?? new Set()).add(keyBlock));
  }
  return keyBlocks;
}
