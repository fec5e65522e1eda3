/** @file Lists of tiles and bits of their pairs, written row tile by row tile. */
import { tileKeys, tileRows } from "../attention/kernel-spec.ts";
import { type TilePlan, transposed } from "../attention/tile-plan.ts";

const wordsPerTile = 2 * tileRows;
const firstCapacity = 64;

/** Key tiles between the first and the last key of a row tile's rows, and the keys that all its rows have; none where start ≥ stop. */
export interface KeyTiles {
  readonly firstTile: number;
  readonly tileCount: number;
  readonly common: { readonly start: number; readonly stop: number };
}

/** Writes the plan of virtual rows and keys whose pairs are allowed one range after the other. */
export class TileWriter {
  readonly #rows: number;
  readonly #keys: number;
  readonly #lists: number[][];
  /** Bits of the tiles between the first and the last key of the present row tile, and their first number where they are kept. */
  #open: Int32Array = new Int32Array(0);
  #openNumber: number | undefined;
  #rowTile = 0;
  #firstTile = 0;
  #tileCount = 0;
  /** Tiles whose pairs are all allowed, of which no bits are kept. */
  #firstWhole = 0;
  #stopWhole = 0;
  #masks: Int32Array;
  #maskCount: number;

  /** @param known - bits of tiles that {@link begin} names by their numbers, those of a whole tile first; they become the plan's */
  constructor(rows: number, keys: number, known?: Int32Array) {
    this.#rows = rows;
    this.#keys = keys;
    this.#lists = Array.from({ length: Math.ceil(rows / tileRows) }, () => []);
    this.#masks = known ?? new Int32Array(firstCapacity * wordsPerTile).fill(-1, 0, wordsPerTile);
    this.#maskCount = known === undefined ? 1 : known.length / wordsPerTile;
  }

  /**
   * Begins a row tile.
   *
   * @param number - of the bits of its first key tile, which those of the others follow, where they are known; pairs may still
   *   be added
   */
  begin(rowTile: number, { firstTile, tileCount, common }: KeyTiles, number?: number): void {
    this.#rowTile = rowTile;
    this.#firstTile = firstTile;
    this.#tileCount = tileCount;
    this.#firstWhole = Math.ceil(common.start / tileKeys);
    this.#stopWhole = common.stop === this.#keys ? firstTile + tileCount : Math.floor(common.stop / tileKeys);
    const count = tileCount * wordsPerTile;
    this.#openNumber = number;
    if (number !== undefined) this.#open = this.#masks.subarray(number * wordsPerTile);
    else if (this.#open.length < count) this.#open = new Int32Array(count);
    else this.#open.fill(0, 0, count);
  }

  /** Allows a row of the row tile the keys [start, stop), among them those that all its rows have in common. */
  allowRange(row: number, start: number, stop: number): void {
    if (this.#firstWhole >= this.#stopWhole) this.allow(row, start, stop);
    else {
      this.allow(row, start, this.#firstWhole * tileKeys);
      this.allow(row, this.#stopWhole * tileKeys, stop);
    }
  }

  /** Allows a row of the row tile the keys [start, stop). */
  allow(row: number, start: number, stop: number): void {
    const line = 2 * (row - this.#rowTile * tileRows);
    const origin = this.#firstTile * tileKeys;
    for (let at = start - origin; at < stop - origin;) {
      const word = at >> 5;
      const end = Math.min(stop - origin, (word + 1) << 5);
      const place = (word >> 1) * wordsPerTile + line + (word & 1);
      this.#open[place] |= (-1 >>> (32 - (end - at))) << (at & 31);
      at = end;
    }
  }

  /** Ends the row tile: tiles without pairs are left out. */
  end(): void {
    const list = this.#lists[this.#rowTile];
    const rows = Math.min(tileRows, this.#rows - this.#rowTile * tileRows);
    for (let tile = 0; tile < this.#tileCount; tile++) {
      const keyTile = this.#firstTile + tile;
      if (keyTile >= this.#firstWhole && keyTile < this.#stopWhole) {
        list.push(keyTile, 0);
        continue;
      }
      const keys = Math.min(tileKeys, this.#keys - keyTile * tileKeys);
      const share = shareOf(this.#open, tile * wordsPerTile, rows, keys);
      if (share !== "none") list.push(keyTile, share === "all" ? 0 : this.#numberOf(tile));
    }
  }

  plan(): TilePlan {
    return {
      ...transposed(this.#lists, Math.ceil(this.#keys / tileKeys)),
      masks: this.#masks.subarray(0, this.#maskCount * wordsPerTile),
    };
  }

  /** The number of an open tile's bits, which are kept from now on. */
  #numberOf(tile: number): number {
    if (this.#openNumber !== undefined) return this.#openNumber + tile;
    const at = this.#maskCount * wordsPerTile;
    if (at === this.#masks.length) {
      const larger = new Int32Array(2 * at);
      larger.set(this.#masks);
      this.#masks = larger;
    }
    this.#masks.set(this.#open.subarray(tile * wordsPerTile, (tile + 1) * wordsPerTile), at);
    return this.#maskCount++;
  }
}

/** Whether the first rows of the tile whose words begin at `at` are allowed all of its first keys. */
function shareOf(words: Int32Array, at: number, rows: number, keys: number): "all" | "none" | "some" {
  const [low, high] = [keys < 32 ? (1 << keys) - 1 : -1, keys <= 32 ? 0 : -1 >>> (64 - keys)];
  let [isAny, isAll] = [0, true];
  for (let place = at; place < at + 2 * rows; place += 2) {
    const first = words[place];
    const second = words[place + 1];
    isAny |= first | second;
    isAll &&= first === low && second === (high | 0);
    if (isAny !== 0 && !isAll) return "some";
  }
  if (isAny === 0) return "none";
  return isAll ? "all" : "some";
}
