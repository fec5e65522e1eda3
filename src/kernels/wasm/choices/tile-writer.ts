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
  /** Bits of the tiles between the first and the last key of the present row tile. */
  #open: Int32Array = new Int32Array(0);
  #rowTile = 0;
  #firstTile = 0;
  #tileCount = 0;
  /** Tiles whose pairs are all allowed, of which no bits are kept. */
  #firstWhole = 0;
  #stopWhole = 0;
  #masks: Int32Array = new Int32Array(firstCapacity * wordsPerTile);
  #maskCount = 1;

  constructor(rows: number, keys: number) {
    this.#rows = rows;
    this.#keys = keys;
    this.#lists = Array.from({ length: Math.ceil(rows / tileRows) }, () => []);
    this.#masks.fill(-1, 0, wordsPerTile);
  }

  /**
   * Begins a row tile.
   *
   * @param words - bits of its key tiles, where they are known; pairs may still be added
   */
  begin(rowTile: number, { firstTile, tileCount, common }: KeyTiles, words?: Int32Array): void {
    this.#rowTile = rowTile;
    this.#firstTile = firstTile;
    this.#tileCount = tileCount;
    this.#firstWhole = Math.ceil(common.start / tileKeys);
    this.#stopWhole = common.stop === this.#keys ? firstTile + tileCount : Math.floor(common.stop / tileKeys);
    const count = tileCount * wordsPerTile;
    if (words !== undefined) this.#open = words;
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
      const words = this.#open.subarray(tile * wordsPerTile, (tile + 1) * wordsPerTile);
      const share = shareOf(words, rows, keys);
      if (share !== "none") list.push(keyTile, share === "all" ? 0 : this.#keep(words));
    }
  }

  plan(): TilePlan {
    return {
      ...transposed(this.#lists, Math.ceil(this.#keys / tileKeys)),
      masks: this.#masks.subarray(0, this.#maskCount * wordsPerTile),
    };
  }

  #keep(words: Int32Array): number {
    const at = this.#maskCount * wordsPerTile;
    if (at === this.#masks.length) {
      const larger = new Int32Array(2 * at);
      larger.set(this.#masks);
      this.#masks = larger;
    }
    this.#masks.set(words, at);
    return this.#maskCount++;
  }
}

/** Whether the first rows of a tile are allowed all of its first keys. */
function shareOf(words: Int32Array, rows: number, keys: number): "all" | "none" | "some" {
  const [low, high] = [keys < 32 ? (1 << keys) - 1 : -1, keys <= 32 ? 0 : -1 >>> (64 - keys)];
  let [isAny, isAll] = [0, true];
  for (let row = 0; row < rows; row++) {
    const [first, second] = [words[2 * row], words[2 * row + 1]];
    isAny |= first | second;
    isAll &&= first === low && second === (high | 0);
    if (isAny !== 0 && !isAll) return "some";
  }
  if (isAny === 0) return "none";
  return isAll ? "all" : "some";
}
