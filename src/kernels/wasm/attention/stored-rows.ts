/**
 * @file Keys and values as they lie in the engine's memory between calls: lifted, keys in panels of eight with the squared
 * norms of their segments, values in rows. A row is written once, where kernels read it.
 */
import { type Arena } from "../engine/arena.ts";
import { type KernelSpec, roundUp, tileKeys } from "./kernel-spec.ts";

const panelKeys = 8;

/** Addresses of the three parts of the block, and the rows that every head has room for. */
export interface RowPlaces {
  readonly packedKey: number;
  readonly value: number;
  readonly keyNorm: number;
  readonly rows: number;
}

/** How many heads have keys, and how many have values, counted over all batch entries. */
export interface RowHeads {
  readonly keys: number;
  readonly values: number;
}

export class StoredRows {
  readonly #arena: Arena;
  readonly #spec: KernelSpec;
  readonly #heads: RowHeads;
  #places: RowPlaces;

  /** @throws UnsupportedError `memory` beyond 4 GiB */
  constructor(arena: Arena, spec: KernelSpec, heads: RowHeads, capacity: number) {
    this.#arena = arena;
    this.#spec = spec;
    this.#heads = heads;
    this.#places = this.#take(capacity);
  }

  get places(): RowPlaces {
    return this.#places;
  }

  /** Bytes that rows of this number take. */
  bytesOf(rows: number): number {
    const { rowWidth, paddedValueWidth, segments } = this.#spec;
    const { keys, values } = this.#heads;
    return 4 * rows * (keys * (rowWidth + segments.length) + values * paddedValueWidth);
  }

  #take(capacity: number): RowPlaces {
    const { rowWidth, paddedValueWidth } = this.#spec;
    const rows = roundUp(Math.max(1, capacity), tileKeys);
    const packedKey = this.#arena.keep(this.bytesOf(rows));
    const value = packedKey + 4 * rows * this.#heads.keys * rowWidth;
    return { packedKey, value, keyNorm: value + 4 * rows * this.#heads.values * paddedValueWidth, rows };
  }

  /** Moves the first `length` rows of every head to a block for `capacity` rows. */
  grow(capacity: number, length: number): void {
    const [old, next] = [this.#places, this.#take(capacity)];
    this.#move(old, next, 0, length);
    this.#places = next;
    this.#arena.release(old.packedKey);
  }

  /** Forgets the first rows of every head, a multiple of eight: those up to `length` move to the front. */
  drop(count: number, length: number): void {
    this.#move(this.#places, this.#places, count, length);
  }

  /** Moves rows [first, stop) to the front of other places, or of their own. */
  #move(old: RowPlaces, next: RowPlaces, first: number, stop: number): void {
    const { rowWidth, paddedValueWidth, segments } = this.#spec;
    const used = roundUp(stop, panelKeys);
    const { floats } = this.#arena;
    const move = (part: "packedKey" | "value" | "keyNorm", heads: number, width: number): void => {
      for (let head = 0; head < heads; head++) {
        const start = old[part] / 4 + head * old.rows * width;
        const to = next[part] / 4 + head * next.rows * width;
        floats.copyWithin(to, start + first * width, start + used * width);
      }
    };
    move("packedKey", this.#heads.keys, rowWidth);
    move("value", this.#heads.values, paddedValueWidth);
    // Norms lie segment by segment: every segment is moved as a head of width 1.
    move("keyNorm", this.#heads.keys * segments.length, 1);
  }

  /** Writes lifted keys [count, rowWidth] of one head from row `first` on. */
  writeKeys(head: number, first: number, lifted: Float32Array): void {
    const { rowWidth, segments } = this.#spec;
    const { packedKey, keyNorm, rows } = this.#places;
    const { floats } = this.#arena;
    const keys = packedKey / 4 + head * rows * rowWidth;
    for (let index = 0; index * rowWidth < lifted.length; index++) {
      const [row, from] = [first + index, index * rowWidth];
      const panel = keys + (row - (row % panelKeys)) * rowWidth;
      // Kernels read whole panels: a new one holds zeros where no key is yet.
      if (row % panelKeys === 0) floats.fill(0, panel, panel + panelKeys * rowWidth);
      const column = panel + (row % panelKeys);
      for (let d = 0; d < rowWidth; d++) floats[column + panelKeys * d] = lifted[from + d];
      segments.forEach(({ offset, paddedWidth }, segment) => {
        let square = 0;
        for (let d = offset; d < offset + paddedWidth; d++) square += lifted[from + d] ** 2;
        const norms = keyNorm / 4 + (head * segments.length + segment) * rows;
        if (row % panelKeys === 0) floats.fill(0, norms + row, norms + row + panelKeys);
        floats[norms + row] = square;
      });
    }
  }

  /** Where the values of `count` rows of one head from row `first` on are to be written; later rows of their panel are zeros. */
  valueRows(head: number, first: number, count: number): Float32Array {
    const { paddedValueWidth } = this.#spec;
    const { value, rows } = this.#places;
    const at = value / 4 + (head * rows + first) * paddedValueWidth;
    const end = at + (roundUp(first + count, panelKeys) - first) * paddedValueWidth;
    return this.#arena.floats.subarray(at, end);
  }

  release(): void {
    this.#arena.release(this.#places.packedKey);
  }
}
