/**
 * @file Keys and values that one query of every head keeps, side by side: copied from their places in a cache, so that a call reads
 * no others.
 */
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { runTasks } from "../engine/task-records.ts";
import { type CallPlan } from "../attention/call-plan.ts";
import { type KernelSpec, roundUp, tileKeys, tileRows } from "../attention/kernel-spec.ts";
import { type RowPlaces } from "../attention/stored-rows.ts";
import { gatherFields, gatherModule } from "./gather-kernel.ts";
import { transposed } from "../attention/tile-plan.ts";

const panelKeys = 8;

/** The keys of one query head: which, and the heads of the cache that have them. */
export interface GatheredHead {
  readonly places: Int32Array;
  readonly keyHead: number;
  readonly valueHead: number;
}

/** So many rows are copied before another thread wakes. */
const fewRows = 1024;

/** Copies the rows of every query head into fresh memory of a call. */
export function gatherRows(
  engine: WasmEngine,
  { rowWidth, paddedValueWidth, segments }: KernelSpec,
  from: RowPlaces,
  heads: readonly GatheredHead[],
): RowPlaces {
  const { arena } = engine;
  const rows = roundUp(Math.max(1, ...heads.map(({ places }) => places.length)), tileKeys);
  const takeFloats = (count: number): number => arena.take(4 * heads.length * rows * count);
  const to: RowPlaces = {
    packedKey: takeFloats(rowWidth),
    value: takeFloats(paddedValueWidth),
    keyNorm: takeFloats(segments.length),
    rows,
  };
  const lists = arena.take(4 * heads.length * rows);
  const shared = {
    keyNumbers: rowWidth,
    valueBytes: 4 * paddedValueWidth,
    segments: segments.length,
    normStride: 4 * from.rows,
    normStrideTo: 4 * rows,
  };
  const records = heads.map(({ places, keyHead, valueHead }, number) => {
    const { floats, integers } = arena;
    const own = {
      places: lists + 4 * number * rows,
      count: places.length,
      keys: from.packedKey + 4 * keyHead * from.rows * rowWidth,
      keysTo: to.packedKey + 4 * number * rows * rowWidth,
      values: from.value + 4 * valueHead * from.rows * paddedValueWidth,
      valuesTo: to.value + 4 * number * rows * paddedValueWidth,
      norms: from.keyNorm + 4 * keyHead * segments.length * from.rows,
      normsTo: to.keyNorm + 4 * number * segments.length * rows,
      shared,
    };
    integers.set(places, own.places / 4);
    // Kernels read whole tiles: what lies behind the last key is 0.
    const end = roundUp(places.length, tileKeys);
    const zeros = (start: number, first: number, width: number): void => {
      floats.fill(0, start / 4 + first * width, start / 4 + end * width);
    };
    zeros(own.keysTo, places.length - (places.length % panelKeys), rowWidth);
    zeros(own.valuesTo, places.length, paddedValueWidth);
    segments.forEach((_, segment) => zeros(own.normsTo + 4 * segment * rows, places.length, 1));
    return own;
  });
  const kernel = codes.get(engine) ?? engine.compile(gatherModule(engine.shared));
  codes.set(engine, kernel);
  const isSmall = heads.reduce((sum, { places }) => sum + places.length, 0) <= fewRows;
  runTasks(engine, "gather", gatherFields, records, { kernel, scratch: 0, scratchBytes: 0, isSmall });
  return to;
}

const codes = new WeakMap<WasmEngine, KernelCode>();

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
