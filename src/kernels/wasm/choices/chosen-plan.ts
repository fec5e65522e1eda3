/**
 * @file Pairs that a selection chose as dense tiles: for every round queries in the order of their groups, over keys in the
 * order of theirs, so that what a group keeps lies side by side. Bits leave out what the pattern excludes and what an earlier
 * round has found, so that every kept pair is in exactly one tile.
 */
import { type Choice } from "../../../selections/index.ts";
import { isFound } from "../../../selections/kept-keys.ts";
import { type CallPlan } from "../attention/call-plan.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { foundBits, type RowTile } from "./found-bits.ts";
import { tileKeys, tileRows } from "../attention/kernel-spec.ts";
import { type Rearrangement } from "../attention/rearrange.ts";
import { TileWriter } from "./tile-writer.ts";
import { type VirtualRows, virtualRows } from "./virtual-rows.ts";

/** What is known of a head's pairs beside the choice. */
export interface PlanPairs {
  readonly queries: number;
  readonly keys: number;
  readonly offset: number;
  /** Which pairs the pattern allows: those of keys up to a query's place, all, or those that it says. */
  readonly pattern: "causal" | "full" | "other";
  readonly allows: (queryPlace: number, key: number) => boolean;
}

/** The plan of one head, which has copies. */
export interface HeadPlan extends CallPlan {
  readonly rearrangement: Rearrangement;
}

/** The plan of one head. */
export function chosenPlan(engine: WasmEngine, choice: Choice, pairs: PlanPairs): HeadPlan {
  const { queries, keys, offset, pattern } = pairs;
  const virtual = virtualRows(choice, queries, keys, pattern === "causal" ? offset : undefined);
  const hasRanges = pattern !== "other" && choice.isDisjoint && !choice.isOwnLast;
  const tiles = rowTiles(virtual, pairs, choice, hasRanges);
  const hasKeys = new Uint8Array(queries);
  const rows = { rows: virtual.rows, keys: virtual.keys };
  const isOnEngine = choice.isOwnLast && pattern !== "other" && areGroupsApart(choice);
  const bits = isOnEngine ? foundBits(engine, choice, virtual, tiles, offset) : undefined;
  if (bits !== undefined) {
    for (let row = 0; row < virtual.rows.length; row++) {
      if (virtual.rounds[row] >= 0 && bits.found[row] !== 0) hasKeys[virtual.rows[row]] = 1;
    }
  }
  const writer = new TileWriter(virtual.rows.length, virtual.keys.length, bits?.words);
  // Rows that are themselves come last: only then it is known which of them have no other key.
  const own = Math.ceil(queries / tileRows);
  tiles.forEach((_, index) => {
    const number = (index + own) % tiles.length;
    const tile = tiles[number];
    writer.begin(number, tile, bits?.numbers[number]);
    const stop = tile.firstRow + tile.rows;
    if (bits === undefined) {
      for (let row = tile.firstRow; row < stop; row++) {
        if (hasRanges) writer.allowRange(row, virtual.starts[row], virtual.stops[row]);
        else allowRow(choice, pairs, virtual, row, writer, hasKeys);
      }
    }
    if (choice.isOwnLast) allowOwn(pairs, tile.firstRow, Math.min(stop, queries), writer, hasKeys);
    writer.end();
  });
  const plan = writer.plan();
  return { rearrangement: rows, tiles: () => plan };
}

/** Whether every round has groups of its own, so that the rows of a tile belong to one round. */
function areGroupsApart({ rounds }: Choice): boolean {
  return new Set(rounds.map(({ keyCodes }) => keyCodes)).size === rounds.length;
}

/**
 * All row tiles with the key tiles between the first and the last key of their rows.
 *
 * @param hasRanges - whether every row sees all keys of its range
 */
function rowTiles(
  { rows, starts, stops, keys: { length: keyCount } }: VirtualRows,
  { queries, keys, offset }: PlanPairs,
  { isOwnLast }: Choice,
  hasRanges: boolean,
): readonly RowTile[] {
  return Array.from({ length: Math.ceil(rows.length / tileRows) }, (_, tile) => {
    const firstRow = tile * tileRows;
    const stopRow = Math.min(firstRow + tileRows, rows.length);
    let [first, stop] = [keyCount, 0];
    const common = { start: 0, stop: hasRanges ? keyCount : 0 };
    for (let row = firstRow; row < stopRow; row++) {
      const start = starts[row];
      const end = stops[row];
      if (start > common.start) common.start = start;
      if (end < common.stop) common.stop = end;
      if (start >= end) continue;
      if (start < first) first = start;
      if (end > stop) stop = end;
    }
    if (isOwnLast && firstRow < queries) {
      first = Math.min(first, firstRow + offset);
      stop = Math.max(stop, Math.min(stopRow + offset, keys));
    }
    const hasNone = first >= stop;
    const firstTile = hasNone ? 0 : Math.floor(first / tileKeys);
    const tileCount = hasNone ? 0 : Math.ceil(stop / tileKeys) - firstTile;
    return { firstRow, rows: stopRow - firstRow, firstTile, tileCount, common };
  });
}

/** Allows a virtual row its keys. */
function allowRow(
  choice: Choice,
  { offset, pattern, allows }: PlanPairs,
  { rows, keys, starts, stops, rounds }: VirtualRows,
  row: number,
  tiles: TileWriter,
  hasKeys: Uint8Array,
): void {
  const query = rows[row];
  const place = query + offset;
  const { isDisjoint, isOwnLast } = choice;
  for (let at = starts[row]; at < stops[row]; at++) {
    const key = keys[at];
    if (isOwnLast && key === place) continue;
    if (pattern === "other" && !allows(place, key)) continue;
    if (!isDisjoint && isFound(choice, query, key, rounds[row])) continue;
    tiles.allow(row, at, at + 1);
    hasKeys[query] = 1;
  }
}

/** Allows rows without other keys their own. */
function allowOwn(
  { offset, keys, allows }: PlanPairs,
  first: number,
  stop: number,
  tiles: TileWriter,
  hasKeys: Uint8Array,
): void {
  for (let query = first; query < stop; query++) {
    const place = query + offset;
    if (hasKeys[query] === 0 && place < keys && allows(place, place)) tiles.allow(query, place, place + 1);
  }
}
