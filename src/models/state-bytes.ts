/** @file How many bytes an attention keeps per sequence while it generates. */
import { type Composition } from "../attention/index.ts";

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

const bytesPerNumber = 4;

/**
 * Bytes of inference state per sequence, in float32.
 *
 * * In general all keys and values: layers·N·G·(D + E)·4.
 * * With a causal window of w places: layers·min(N, w)·G·(D + E)·4.
 * * When weights are raw scores that are linear in the key (`dot+none`: linear attention without a feature map) and every
 *   earlier key counts, the sums Σ kᵀv are enough, which have no normaliser: layers·G·D·E·4, whatever N is.
 *
 * @param composition - the attention of all layers
 * @example
 * ```ts
 * import { causal, compose, dot } from "qklab";
 * import { stateBytes } from "qklab/models";
 * const attention = compose({ similarity: dot(), pattern: causal() });
 * stateBytes(attention, { length: 1024, layers: 2, keyValueHeads: 4, headWidth: 16 }); // 1048576
 * ```
 */
export function stateBytes(composition: Composition, sizes: StateSizes): number {
  const { length, layers, keyValueHeads, headWidth, valueWidth = headWidth } = sizes;
  const perHead = isLinear(composition)
    ? headWidth * valueWidth
    : keptKeys(composition, length) * (headWidth + valueWidth);
  return layers * keyValueHeads * perHead * bytesPerNumber;
}

function isLinear({
  similarity,
  position,
  patterns,
  selection,
  normaliser,
  aggregation,
}: Composition): boolean {
  return (
    similarity.bilinear &&
    position.place !== "bias" &&
    patterns.every(({ name }) => name === "causal") &&
    selection.limit === undefined &&
    selection.choose === undefined &&
    normaliser.name === "none" &&
    !normaliser.nonNegative &&
    aggregation.needs === "weights"
  );
}

function keptKeys({ patterns }: Composition, length: number): number {
  if (!patterns.some(({ causal }) => causal)) return length;
  const windows = patterns.filter(({ name }) => name === "window").map(({ options }) => Number(options["w"]));
  return Math.min(length, ...windows);
}
