/**
 * @file How many bytes a model keeps per sequence while it generates: layers · key/value heads · what a head keeps. The latter is a
 * function, so that whatever has a state of its own, such as a recurrence, is counted by the same rule.
 */
import { type Composition } from "../attention/index.ts";
import { isLinearInKeys, reachOf } from "../attention/reach.ts";
import { sizeOf } from "../base/tensor.ts";
import { type RecurrentRule } from "../recurrence/index.ts";
import { type LayerGroup } from "./attention-group.ts";
import { type RecurrentHeads } from "./recurrence-group.ts";

/** The extents that decide the state. */
export interface StateSizes {
  /** N, tokens so far. */
  readonly length: number;
  readonly layers: number;
  /** G */
  readonly keyValueHeads: number;
  /** D */
  readonly headWidth: number;
  /** E (default D) */
  readonly valueWidth?: number;
}

/**
 * Numbers that one key/value head keeps after N tokens: a matrix state is `({ headWidth, valueWidth }) => headWidth * valueWidth`.
 */
export type HeadState = (sizes: Required<Pick<StateSizes, "length" | "headWidth" | "valueWidth">>) => number;

const bytesPerNumber = 4;

/**
 * Bytes of inference state per sequence, in float32.
 *
 * @param state - the attention of all layers, or what one of its heads keeps
 * @param sizes - see {@link StateSizes}
 * @example
 * ```ts
 * import { causal, compose, dot } from "qklab";
 * import { type HeadState, stateBytes } from "qklab/models";
 * const attention = compose({ similarity: dot(), pattern: causal() });
 * const sizes = { length: 1024, layers: 2, keyValueHeads: 4, headWidth: 16 };
 * stateBytes(attention, sizes); // 1048576
 * const matrix: HeadState = ({ headWidth, valueWidth }) => headWidth * valueWidth;
 * stateBytes(matrix, sizes); // 8192, whatever the length
 * ```
 */
export function stateBytes(state: Composition | HeadState, sizes: StateSizes): number {
  const { length, layers, keyValueHeads, headWidth, valueWidth = headWidth } = sizes;
  const perHead = typeof state === "function" ? state : attentionState(state);
  return layers * keyValueHeads * perHead({ length, headWidth, valueWidth }) * bytesPerNumber;
}

/**
 * What a head of a recurrence keeps: the state of its rule, whatever N is.
 *
 * @example
 * ```ts
 * import { deltanet } from "qklab";
 * import { recurrentState, stateBytes } from "qklab/models";
 * stateBytes(recurrentState(deltanet()), { length: 1024, layers: 2, keyValueHeads: 4, headWidth: 16 }); // 8192
 * ```
 */
export function recurrentState({ stateShape }: RecurrentRule): HeadState {
  return ({ length, headWidth: width, valueWidth }) => {
    const one = { batch: 1, heads: 1, keyHeads: 1, queries: length, tokens: length };
    return sizeOf(stateShape({ ...one, width, valueWidth }));
  };
}

/**
 * Bytes that a group of heads keeps in one layer; every query head of a recurrence has a state of its own, as has one of sums, and a convolution keeps the
 * rows of the tokens before that it reaches.
 */
export function groupStateBytes(
  group: LayerGroup | RecurrentHeads,
  given: Omit<StateSizes, "layers" | "keyValueHeads"> & { readonly convolution?: number },
): number {
  const { convolution = 1, ...sizes } = given;
  const { headWidth, valueWidth = headWidth } = sizes;
  const before = group.heads * headWidth + group.keyValueHeads * (headWidth + valueWidth);
  return (convolution - 1) * before * bytesPerNumber + mixerStateBytes(group, sizes);
}

function mixerStateBytes(
  group: LayerGroup | RecurrentHeads,
  sizes: Omit<StateSizes, "layers" | "keyValueHeads">,
): number {
  if ("recurrence" in group) {
    const state = recurrentState(group.recurrence.rule);
    return stateBytes(state, { ...sizes, layers: 1, keyValueHeads: group.heads });
  }
  // Sums are read by rows of queries' own, as those of a recurrence.
  const { composition, heads, keyValueHeads } = group;
  const keeping = isLinearInKeys(composition) ? heads : keyValueHeads;
  return stateBytes(composition, { ...sizes, layers: 1, keyValueHeads: keeping });
}

/**
 * What a head of an attention keeps.
 *
 * * In general all keys and values: N·(D + E), also with `strided` and `fixed`, where a later query may ask for any of them.
 * * With a causal window of w places: min(N, w)·(D + E).
 * * With `lsh`, the place of every key in its bucket as well, in every round: N·rounds.
 * * With `moba`, the mean key of every block, and the sum of the last one's: (⌊N/block⌋ + 1)·D.
 * * When weights are raw scores that are linear in the key (`dot+none`: linear attention without a feature map) and every
 *   earlier key counts, the sums Σ kᵀv are enough, which have no normaliser: D·E, whatever N is.
 *
 * @param composition - the attention
 */
function attentionState(composition: Composition): HeadState {
  if (isLinearInKeys(composition)) return ({ headWidth, valueWidth }) => headWidth * valueWidth;
  const reach = reachOf(composition) ?? Infinity;
  const followed = composition.selection.followedNumbers;
  return ({ length, headWidth, valueWidth }) =>
    Math.min(length, reach) * (headWidth + valueWidth) + (followed?.(length, headWidth) ?? 0);
}
