/**
 * @file Which tiles of the score matrix a pattern allows: for every row tile the list of its key tiles, for every key tile
 * the list of its row tiles, and bits of the pairs of tiles that are allowed in part. Tiles without allowed pairs are in
 * no list, so that no kernel ever visits them.
 */
import { intersect, type Pattern } from "../../patterns/index.ts";
import { tileKeys, tileRows } from "./kernel-spec.ts";

/** Lists of tiles; pairs of numbers (tile, number of its mask), mask 0 allows all pairs. */
export interface TilePlan {
  /** Entries of row tile t are rowEntries[2·rowStart[t] … 2·rowStart[t+1]). */
  readonly rowStart: Int32Array;
  readonly rowEntries: Int32Array;
  readonly keyStart: Int32Array;
  readonly keyEntries: Int32Array;
  /** Two words a row, [masks, tileRows, 2]. */
  readonly masks: Int32Array;
}

type Share = "all" | "none" | "some";

/** A tile as places of queries and keys, ends included. */
interface Tile {
  readonly firstPlace: number;
  readonly lastPlace: number;
  readonly firstKey: number;
  readonly lastKey: number;
}

/** Patterns whose tiles are known without asking for every pair. */
const shares: Readonly<Record<string, (tile: Tile, options: Pattern["options"]) => Share>> = {
  full: () => "all",
  causal: ({ firstPlace, lastPlace, firstKey, lastKey }) =>
    lastKey <= firstPlace ? "all" : firstKey > lastPlace ? "none" : "some",
  window({ firstPlace, lastPlace, firstKey, lastKey }, options) {
    const [nearest, farthest, w] = [firstPlace - lastKey, lastPlace - firstKey, options["w"] as number];
    if (nearest > -w && farthest < w) return "all";
    return nearest >= w || farthest <= -w ? "none" : "some";
  },
  strided({ firstPlace, lastPlace, firstKey, lastKey }, options) {
    const [nearest, farthest] = [firstPlace - lastKey, lastPlace - firstKey];
    if (farthest < 0) return "none";
    return nearest >= 0 && farthest < (options["local"] as number) ? "all" : "some";
  },
  fixed: ({ lastPlace, firstKey }) => (firstKey > lastPlace ? "none" : "some"),
};

/** Patterns of which a pair's place does not matter, only its distance: tiles at one distance have one mask. */
const byDistance: ReadonlySet<string> = new Set(["full", "causal", "window", "strided"]);

/** The plan of a pattern for Q queries from place `offset` and S keys. */
export function tilePlan(
  patterns: readonly Pattern[],
  queries: number,
  keys: number,
  offset: number,
): TilePlan {
  const { allows, keyRange } = intersect(patterns);
  const rowTiles = Math.ceil(queries / tileRows);
  const keyTiles = Math.ceil(keys / tileKeys);
  // Decoding has few rows: nobody asks for the bits of the others.
  const rowsOfTile = Math.min(tileRows, queries);
  const isKnown = patterns.every(({ name }) => Object.hasOwn(shares, name));
  const masks: number[] = Array.from({ length: 2 * tileRows }, () => -1);
  const known = new Map<string, number>([[masks.join(), 0]]);
  const memo = new Map<string, number>();
  const lists: number[][] = [];

  const bitsOf = (firstPlace: number, firstKey: number): number[] => {
    const words = Array.from({ length: 2 * tileRows }, () => 0);
    for (let row = 0; row < rowsOfTile; row++) {
      for (let column = 0; column < tileKeys; column++) {
        if (allows(firstPlace + row, firstKey + column)) words[2 * row + (column >> 5)] |= 1 << (column & 31);
      }
    }
    return words;
  };

  /** The number of the tile's mask, −1 when nothing is allowed. */
  const maskOf = (firstPlace: number, firstKey: number): number => {
    const key = memoKey(patterns, firstPlace, firstKey);
    const remembered = key === undefined ? undefined : memo.get(key);
    if (remembered !== undefined) return remembered;
    const words = bitsOf(firstPlace, firstKey);
    const text = words.join();
    let number = known.get(text);
    if (number === undefined) {
      number = words.every((word) => word === 0) ? -1 : masks.push(...words) / (2 * tileRows) - 1;
      known.set(text, number);
    }
    if (key !== undefined) memo.set(key, number);
    return number;
  };

  for (let rowTile = 0; rowTile < rowTiles; rowTile++) {
    const firstRow = rowTile * tileRows;
    const lastRow = Math.min(firstRow + tileRows, queries) - 1;
    const asked = isKnown
      ? [firstRow, lastRow]
      : Array.from({ length: lastRow - firstRow + 1 }, (_, row) => firstRow + row);
    let [first, stop] = [keys, 0];
    for (const row of asked) {
      const [start, end] = keyRange(row + offset, keys);
      if (start >= end) continue;
      [first, stop] = [Math.min(first, start), Math.max(stop, end)];
    }
    const list: number[] = [];
    for (let keyTile = Math.floor(first / tileKeys); keyTile * tileKeys < stop; keyTile++) {
      const tile = {
        firstPlace: firstRow + offset,
        lastPlace: lastRow + offset,
        firstKey: keyTile * tileKeys,
        lastKey: Math.min((keyTile + 1) * tileKeys, keys) - 1,
      };
      const share = isKnown ? shareOf(patterns, tile) : "some";
      if (share === "none") continue;
      const mask = share === "all" ? 0 : maskOf(tile.firstPlace, tile.firstKey);
      if (mask !== -1) list.push(keyTile, mask);
    }
    lists.push(list);
  }
  return { ...transposed(lists, keyTiles), masks: Int32Array.from(masks) };
}

function shareOf(patterns: readonly Pattern[], tile: Tile): Share {
  let all = true;
  for (const { name, options } of patterns) {
    const share = shares[name](tile, options);
    if (share === "none") return "none";
    all &&= share === "all";
  }
  return all ? "all" : "some";
}

/** Tiles with the same key have the same mask; undefined where nothing is known of them. */
function memoKey(patterns: readonly Pattern[], firstPlace: number, firstKey: number): string | undefined {
  const others = patterns.filter(({ name }) => !byDistance.has(name));
  const distance = firstPlace - firstKey;
  if (others.length === 0) return String(distance);
  const [{ name, options }] = others;
  if (name !== "fixed" || patterns.length > 1) return undefined;
  const block = options["block"] as number;
  const isInside =
    firstPlace >= 0 && (firstPlace % block) + tileRows <= block && (firstKey % block) + tileKeys <= block;
  if (!isInside) return undefined;
  const isOwn = Math.floor(firstPlace / block) === Math.floor(firstKey / block);
  return `${isOwn} ${Math.min(distance, tileKeys)} ${firstKey % block}`;
}

function transposed(lists: readonly (readonly number[])[], keyTiles: number): Omit<TilePlan, "masks"> {
  const rowStart = new Int32Array(lists.length + 1);
  const keyStart = new Int32Array(keyTiles + 1);
  lists.forEach((list, rowTile) => {
    rowStart[rowTile + 1] = rowStart[rowTile] + list.length / 2;
    for (let at = 0; at < list.length; at += 2) keyStart[list[at] + 1] += 1;
  });
  for (let tile = 0; tile < keyTiles; tile++) keyStart[tile + 1] += keyStart[tile];
  const rowEntries = new Int32Array(2 * rowStart[lists.length]);
  const keyEntries = new Int32Array(rowEntries.length);
  const next = keyStart.slice();
  lists.forEach((list, rowTile) => {
    rowEntries.set(list, 2 * rowStart[rowTile]);
    for (let at = 0; at < list.length; at += 2) {
      const slot = next[list[at]]++;
      keyEntries[2 * slot] = rowTile;
      keyEntries[2 * slot + 1] = list[at + 1];
    }
  });
  return { rowStart, rowEntries, keyStart, keyEntries };
}
