/**
 * @file Which tiles of the score matrix a pattern allows: for every row tile the list of its key tiles, for every key tile
 * the list of its row tiles, and bits of the pairs of tiles that are allowed in part. Tiles without allowed pairs are in
 * no list, so that no kernel ever visits them.
 */
import { intersect, type Pattern } from "../../../patterns/index.ts";
import { tileKeys, tileRows } from "./kernel-spec.ts";
import { type RearrangedPattern, summariesBefore } from "./rearrange.ts";

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

/** How many key tiles every row tile has. */
export const rowTileCounts = ({ rowStart }: TilePlan): number[] =>
  Array.from({ length: rowStart.length - 1 }, (_, tile) => rowStart[tile + 1] - rowStart[tile]);

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
    const [stride, local] = [options["stride"] as number, options["local"] as number];
    if (farthest < 0) return "none";
    if (nearest >= 0 && farthest < local) return "all";
    return nearest < local || farthest - (farthest % stride) >= nearest ? "some" : "none";
  },
  fixed({ firstPlace, lastPlace, firstKey, lastKey }, options) {
    const [block, columns] = [options["block"] as number, options["columns"] as number];
    const hasOwn = options["part"] !== "columns";
    const last = Math.min(lastKey, hasOwn ? lastPlace : block * Math.floor(lastPlace / block) - 1);
    if (last < firstKey) return "none";
    const isOwn = hasOwn && Math.floor(Math.max(firstPlace, last) / block) === Math.floor(last / block);
    const summaries = summariesBefore(last + 1, block, columns) - summariesBefore(firstKey, block, columns);
    return isOwn || summaries > 0 ? "some" : "none";
  },
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
  const masks = new Masks();
  const memo = new Map<string, number>();
  const lists: number[][] = [];

  const bitsOf = (firstPlace: number, firstKey: number): number[] => {
    const words = noPairs();
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
    const number = masks.numberOf(bitsOf(firstPlace, firstKey));
    if (key !== undefined) memo.set(key, number);
    return number;
  };

  /** Keys outside of which no row of a tile sees one. */
  const keysOf = (firstRow: number, lastRow: number): [first: number, stop: number] => {
    // Ranges of known patterns move with the row: between the first row's start and the last row's end lie all others'.
    if (isKnown) {
      const [first] = keyRange(firstRow + offset, keys);
      return [first, Math.min(keys, keyRange(lastRow + offset, keys)[1])];
    }
    let [first, stop] = [keys, 0];
    for (let row = firstRow; row <= lastRow; row++) {
      const [start, end] = keyRange(row + offset, keys);
      if (start < end) [first, stop] = [Math.min(first, start), Math.max(stop, end)];
    }
    return [first, stop];
  };

  for (let rowTile = 0; rowTile < rowTiles; rowTile++) {
    const firstRow = rowTile * tileRows;
    const lastRow = Math.min(firstRow + tileRows, queries) - 1;
    const [first, stop] = keysOf(firstRow, lastRow);
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
  return { ...transposed(lists, keyTiles), masks: masks.all() };
}

/** The plan of a single query for several that are at its place. */
export function repeatedPlan(plan: TilePlan, queries: number): TilePlan {
  const masks = plan.masks.slice();
  for (let first = 0; first < masks.length; first += 2 * tileRows) {
    for (let row = 1; row < tileRows; row++) masks.copyWithin(first + 2 * row, first, first + 2);
  }
  const list = [...plan.rowEntries];
  const lists = Array.from({ length: Math.ceil(queries / tileRows) }, () => list);
  return { ...transposed(lists, plan.keyStart.length - 1), masks };
}

/** The plan of a rearranged pattern, over its virtual rows and keys; found without asking for tiles that it leaves out. */
export function rearrangedPlan({ rows, keys, ranges }: RearrangedPattern): TilePlan {
  const masks = new Masks();
  const lists: number[][] = [];
  for (let firstRow = 0; firstRow < rows.length; firstRow += tileRows) {
    const tiles = new Map<number, number[]>();
    for (let row = firstRow; row < Math.min(firstRow + tileRows, rows.length); row++) {
      for (const at of [4 * row, 4 * row + 2]) {
        allow(tiles, row - firstRow, ranges[at], ranges[at + 1]);
      }
    }
    const list: number[] = [];
    for (const keyTile of [...tiles.keys()].toSorted((a, b) => a - b)) {
      const words = tiles.get(keyTile)!;
      allowBeyond(words, rows.length - firstRow, keys.length - keyTile * tileKeys);
      list.push(keyTile, masks.numberOf(words));
    }
    lists.push(list);
  }
  return { ...transposed(lists, Math.ceil(keys.length / tileKeys)), masks: masks.all() };
}

/** Allows a row of a row tile the keys [first, stop), in all key tiles where they lie. */
function allow(tiles: Map<number, number[]>, row: number, first: number, stop: number): void {
  if (first >= stop) return;
  for (let start = first - (first % tileKeys); start < stop; start += tileKeys) {
    const words = tiles.get(start / tileKeys) ?? noPairs();
    tiles.set(start / tileKeys, words);
    words[2 * row] |= bitsOfRange(first - start, stop - start);
    words[2 * row + 1] |= bitsOfRange(first - start - 32, stop - start - 32);
  }
}

/** Rows and keys beyond the last are read by nobody: a tile that has all others allows all. */
function allowBeyond(words: number[], rows: number, keys: number): void {
  for (let row = 0; row < tileRows; row++) {
    const first = row < rows ? keys : 0;
    words[2 * row] |= bitsOfRange(first, tileKeys);
    words[2 * row + 1] |= bitsOfRange(first - 32, tileKeys - 32);
  }
}

/** The bits [first, stop) of a word of 32. */
function bitsOfRange(first: number, stop: number): number {
  const [from, to] = [Math.max(first, 0), Math.min(stop, 32)];
  return from < to ? (-1 >>> (32 - (to - from))) << from : 0;
}

/** Whether the plan of a pattern has more than `most` tiles; stops to count when it does. */
export function hasMoreTiles(
  patterns: readonly Pattern[],
  { queries, keys, offset }: { readonly queries: number; readonly keys: number; readonly offset: number },
  most: number,
): boolean {
  let count = 0;
  for (let firstRow = 0; firstRow < queries; firstRow += tileRows) {
    for (let firstKey = 0; firstKey < keys; firstKey += tileKeys) {
      const tile = {
        firstPlace: firstRow + offset,
        lastPlace: Math.min(firstRow + tileRows, queries) - 1 + offset,
        firstKey,
        lastKey: Math.min(firstKey + tileKeys, keys) - 1,
      };
      if (shareOf(patterns, tile) !== "none") count += 1;
      if (count > most) return true;
    }
  }
  return false;
}

const noPairs = (): number[] => Array.from({ length: 2 * tileRows }, () => 0);

/** Bits of tiles, equal ones kept once; number 0 allows all pairs. */
class Masks {
  readonly #words: number[] = Array.from({ length: 2 * tileRows }, () => -1);
  readonly #known = new Map<string, number>([[this.#words.join(), 0]]);

  /** The number of the tile's mask, −1 when nothing is allowed. */
  numberOf(words: readonly number[]): number {
    const text = words.join();
    let number = this.#known.get(text);
    if (number === undefined) {
      number = words.every((word) => word === 0) ? -1 : this.#words.push(...words) / (2 * tileRows) - 1;
      this.#known.set(text, number);
    }
    return number;
  }

  all(): Int32Array {
    return Int32Array.from(this.#words);
  }
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

/** Lists of row tiles, flat, and the lists of key tiles that follow from them. */
export function transposed(lists: readonly (readonly number[])[], keyTiles: number): Omit<TilePlan, "masks"> {
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
