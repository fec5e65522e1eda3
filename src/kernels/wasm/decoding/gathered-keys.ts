/**
 * @file Keys and values that one query of every head keeps, side by side: copied from their places in a cache, so that a call reads
 * no others.
 */
import { type WasmEngine } from "../engine/engine.ts";
import { type CallPlan } from "../attention/call-plan.ts";
import { type KernelSpec, roundUp, tileKeys, tileRows } from "../attention/kernel-spec.ts";
import { type RowPlaces } from "../attention/stored-rows.ts";
import { transposed } from "../attention/tile-plan.ts";

const panelKeys = 8;

/** The keys of one query head: which, and the heads of the cache that have them. */
export interface GatheredHead {
  readonly places: readonly number[];
  readonly keyHead: number;
  readonly valueHead: number;
}

/** Copies the rows of every query head into fresh memory of a call. */
export function gatherRows(
  { arena }: WasmEngine,
  { rowWidth, paddedValueWidth, segments }: KernelSpec,
  from: RowPlaces,
  heads: readonly GatheredHead[],
): RowPlaces {
  const rows = roundUp(Math.max(1, ...heads.map(({ places }) => places.length)), tileKeys);
  const takeFloats = (count: number): number => arena.take(4 * heads.length * rows * count);
  const to: RowPlaces = {
    packedKey: takeFloats(rowWidth),
    value: takeFloats(paddedValueWidth),
    keyNorm: takeFloats(segments.length),
    rows,
  };
  const { floats } = arena;
  heads.forEach(({ places, keyHead, valueHead }, number) => {
    const keys = { from: from.packedKey / 4 + keyHead * from.rows * rowWidth, to: to.packedKey / 4 + number * rows * rowWidth };
    const values = {
      from: from.value / 4 + valueHead * from.rows * paddedValueWidth,
      to: to.value / 4 + number * rows * paddedValueWidth,
    };
    const end = roundUp(places.length, tileKeys);
    floats.fill(0, keys.to + (places.length - (places.length % panelKeys)) * rowWidth, keys.to + end * rowWidth);
    floats.fill(0, values.to + places.length * paddedValueWidth, values.to + end * paddedValueWidth);
    places.forEach((place, index) => {
      const source = keys.from + (place - (place % panelKeys)) * rowWidth + (place % panelKeys);
      const target = keys.to + (index - (index % panelKeys)) * rowWidth + (index % panelKeys);
      for (let d = 0; d < panelKeys * rowWidth; d += panelKeys) floats[target + d] = floats[source + d];
      const first = values.from + place * paddedValueWidth;
      floats.copyWithin(values.to + index * paddedValueWidth, first, first + paddedValueWidth);
    });
    segments.forEach((_, segment) => {
      const norms = from.keyNorm / 4 + (keyHead * segments.length + segment) * from.rows;
      const target = to.keyNorm / 4 + (number * segments.length + segment) * rows;
      floats.fill(0, target + places.length, target + end);
      places.forEach((place, index) => (floats[target + index] = floats[norms + place]));
    });
  });
  return to;
}

/** A plan by which a single query sees the first `count` keys. */
export function firstKeysPlan(count: number): CallPlan {
  const tiles = Math.ceil(count / tileKeys);
  const list = Array.from({ length: tiles }, (_, tile) => [tile, tile * tileKeys + tileKeys > count ? 1 : 0]);
  const masks = new Int32Array(4 * tileRows).fill(-1, 0, 2 * tileRows);
  const left = count % tileKeys;
  masks[2 * tileRows] = left >= 32 ? -1 : (1 << left) - 1;
  masks[2 * tileRows + 1] = left > 32 ? (1 << (left - 32)) - 1 : 0;
  const plan = { ...transposed([list.flat()], tiles), masks };
  return { rearrangement: undefined, tiles: () => plan };
}
