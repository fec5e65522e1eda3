/**
 * @file Pairs that a selection chose as dense tiles: for every round queries in the order of their groups, over keys in the
 * order of theirs, so that what a group keeps lies side by side. Bits leave out what the pattern excludes and what an earlier
 * round has found, so that every kept pair is in exactly one tile.
 */
import { type Choice } from "../../selections/index.ts";
import { isFound } from "../../selections/kept-keys.ts";
import { type CallPlan } from "./call-plan.ts";
import { tileRows } from "./kernel-spec.ts";
import { TileWriter } from "./tile-writer.ts";
import { type VirtualRows, virtualRows } from "./virtual-rows.ts";

/** What is known of a head's pairs beside the choice. */
export interface PlanPairs {
  readonly queries: number;
  readonly keys: number;
  readonly offset: number;
  /** Whether the pattern allows exactly the keys up to a query's place. */
  readonly isCausal: boolean;
  readonly allows: (queryPlace: number, key: number) => boolean;
}

/** The plan of one head. */
export function chosenPlan(choice: Choice, pairs: PlanPairs): CallPlan {
  const virtual = virtualRows(choice, pairs.queries, pairs.keys);
  const { rows, keys } = virtual;
  const tiles = new TileWriter(rows.length, keys.length);
  const hasKeys = new Uint8Array(pairs.queries);
  // Rows that are themselves come last: only then it is known which of them have no other key.
  const ownTiles = Math.ceil(pairs.queries / tileRows);
  const rowTiles = Math.ceil(rows.length / tileRows);
  const order = Array.from({ length: rowTiles }, (_, index) => (index + ownTiles) % rowTiles);
  for (const tile of order) {
    const [first, stop] = [tile * tileRows, Math.min((tile + 1) * tileRows, rows.length)];
    const [firstKey, stopKey] = keySpan(virtual, pairs, choice, first, stop);
    tiles.begin(tile, firstKey, stopKey);
    for (let row = first; row < stop; row++) {
      allowRow(choice, pairs, virtual, row, tiles, hasKeys);
    }
    if (choice.isOwnLast) allowOwn(pairs, first, Math.min(stop, pairs.queries), tiles, hasKeys);
    tiles.end();
  }
  const plan = tiles.plan();
  return { rearrangement: { rows, keys }, tiles: () => plan };
}

/** Virtual keys outside of which no row of [first, stop) sees one. */
function keySpan(
  { starts, stops }: VirtualRows,
  { queries, keys, offset }: PlanPairs,
  { isOwnLast }: Choice,
  first: number,
  stop: number,
): readonly [number, number] {
  let [firstKey, stopKey] = [Infinity, 0];
  for (let row = first; row < stop; row++) {
    if (starts[row] >= stops[row]) continue;
    firstKey = Math.min(firstKey, starts[row]);
    stopKey = Math.max(stopKey, stops[row]);
  }
  if (isOwnLast && first < queries) {
    firstKey = Math.min(firstKey, Math.max(0, first + offset));
    stopKey = Math.max(stopKey, Math.min(stop + offset, keys));
  }
  return [firstKey, stopKey];
}

/** Allows a virtual row its keys. */
function allowRow(
  choice: Choice,
  { offset, isCausal, allows }: PlanPairs,
  { rows, keys, starts, stops, rounds }: VirtualRows,
  row: number,
  tiles: TileWriter,
  hasKeys: Uint8Array,
): void {
  const query = rows[row];
  const place = query + offset;
  const { isDisjoint, isOwnLast } = choice;
  const start = starts[row];
  let stop = stops[row];
  if (isCausal) {
    // Keys of a group ascend: those that are too late are at its end.
    while (stop > start && keys[stop - 1] > place) stop--;
    if (isDisjoint && !isOwnLast) {
      tiles.allow(row, start, stop);
      return;
    }
  }
  for (let at = start; at < stop; at++) {
    const key = keys[at];
    if (isOwnLast && key === place) continue;
    if (!isCausal && !allows(place, key)) continue;
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
