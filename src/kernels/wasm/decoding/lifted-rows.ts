/**
 * @file The rows of a cache: keys and values lifted when they are appended, growing by doubling, or sliding where no later query
 * sees those of long ago.
 */
import { type Composition } from "../../../attention/index.ts";
import { reachOf } from "../../../attention/reach.ts";
import { UnsupportedError } from "../../../base/errors.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { type KernelSpec, roundUp, tileKeys } from "../attention/kernel-spec.ts";
import { liftRows, rowLift } from "../attention/lift-rows.ts";
import { type RowPlaces, StoredRows } from "../attention/stored-rows.ts";
import { liftValues } from "../attention/value-rows.ts";
import { type Arena } from "../engine/arena.ts";
import { type CacheSizes } from "./cache-checks.ts";
import { type CacheParameters } from "./cache-parameters.ts";

/**
 * XPos scales keys by ζ^−p and queries by ζ^p, p = (place − centre)/512, and ζ ≥ 2/7: up to this length both stay within
 * 2^±58, far inside float32.
 */
export const longestXpos = 32_768;

/** Rows move to the front by panels of so many. */
const panelKeys = 8;

/** What rows are made for. */
export interface LiftedRowsOptions {
  readonly arena: Arena;
  readonly composition: Composition;
  readonly spec: KernelSpec;
  readonly sizes: Required<CacheSizes>;
  readonly parameters: CacheParameters;
}

export class LiftedRows {
  readonly #options: LiftedRowsOptions;
  readonly #rows: StoredRows;
  /** Keys and values, or rather the heads that have some of their own. */
  readonly #heads: { readonly keys: number; readonly values: number };
  /** How far back queries see, where that has an end. */
  readonly reach: number | undefined;
  #first = 0;
  #length = 0;

  /** @throws UnsupportedError `memory` beyond 4 GiB */
  constructor(options: LiftedRowsOptions) {
    this.#options = options;
    const { ownKeys, ownValues } = options.parameters;
    const { batch, heads, keyHeads, capacity } = options.sizes;
    this.#heads = {
      keys: batch * (ownKeys ? heads : keyHeads),
      values: batch * (ownValues ? heads : keyHeads),
    };
    this.reach = reachOf(options.composition);
    const most = this.#boundFor(1);
    this.#rows = new StoredRows(options.arena, options.spec, this.#heads, Math.min(capacity, most));
  }

  /** Places that were appended. */
  get length(): number {
    return this.#length;
  }

  /** The place of the first row. */
  get first(): number {
    return this.#first;
  }

  get places(): RowPlaces {
    return this.#rows.places;
  }

  get sizeBytes(): number {
    return this.#rows.bytesOf(this.#rows.places.rows);
  }

  /** How many numbers of keys and values a later query can see, without what pads them. */
  get size(): number {
    const { width, valueWidth } = this.#options.sizes;
    const { keys, values } = this.#heads;
    return Math.min(this.#length, this.reach ?? this.#length) * (keys * width + values * valueWidth);
  }

  /**
   * Appends places.
   *
   * @param k - [B, G, n, D]
   * @param v - [B, G, n, E]
   */
  append(k: Tensor, v: Tensor): void {
    const { composition, spec, sizes, parameters } = this.#options;
    const { batch, heads, keyHeads, width, valueWidth } = sizes;
    const count = k.shape[2];
    this.#makeRoom(count);
    const { segments, rowWidth, paddedValueWidth } = spec;
    const { ownKeys, ownValues } = parameters;
    const lift = rowLift(
      "key",
      { segments, width, rowWidth },
      composition.position,
      { first: this.#length, count, length: longestXpos },
      { hasMetric: ownKeys, turnsInKernel: false },
    );
    const lifted = new Float32Array(count * rowWidth);
    const row = this.#length - this.#first;
    for (let number = 0; number < batch * heads; number++) {
      const [entry, head] = [Math.floor(number / heads), number % heads];
      const shared = entry * keyHeads + Math.floor((head * keyHeads) / heads);
      const isFirst = head % (heads / keyHeads) === 0;
      if (isFirst || ownKeys) {
        const source = k.data.subarray(shared * count * width, (shared + 1) * count * width);
        liftRows(lift, source, lifted, count, parameters.rootMetric(head));
        this.#rows.writeKeys(ownKeys ? number : shared, row, lifted);
      }
      if (isFirst || ownValues) {
        const source = v.data.subarray(shared * count * valueWidth, (shared + 1) * count * valueWidth);
        const target = this.#rows.valueRows(ownValues ? number : shared, row, count);
        const curvature = parameters.curvature(head);
        const layout = { width: valueWidth, paddedWidth: paddedValueWidth };
        liftValues(source, target, curvature === undefined ? layout : { ...layout, curvature });
      }
    }
    this.#length += count;
  }

  /** Whether the keys that queries at the last `queries` places of `length` see are all there. */
  hasKeysOf(queries: number, length: number): boolean {
    return this.#first === 0 || length - queries - (this.reach! - 1) >= this.#first;
  }

  /** Forgets the newest places. */
  truncate(length: number): void {
    this.#length = length;
    if (length === 0) this.#first = 0;
  }

  release(): void {
    this.#rows.release();
    this.#length = 0;
    this.#first = 0;
  }

  /** Rows that are enough for any number of places, appended `count` at a time; with room for a tile, few appends move rows. */
  #boundFor(count: number): number {
    if (this.reach === undefined) return Infinity;
    return roundUp(this.reach - 1 + Math.max(count, tileKeys) + panelKeys - 1, tileKeys);
  }

  #makeRoom(count: number): void {
    const length = this.#length + count;
    const { position } = this.#options.composition;
    if (position.place === "rotation" && position.decay !== undefined && length > longestXpos) {
      throw new UnsupportedError(
        "cache-length",
        `Cannot append as a cache scales xpos from a fixed centre, which reaches ${longestXpos} places in float32: ${length} places. ` +
          "Use rope:scaling=yarn for longer sequences",
      );
    }
    const { rows } = this.#rows.places;
    const wanted = length - this.#first;
    if (wanted <= rows) return;
    const doubled = rows * 2 ** Math.ceil(Math.log2(wanted / rows));
    const bound = this.#boundFor(count);
    if (rows < bound) this.#grow(Math.min(doubled, bound), Math.min(wanted, bound));
    if (this.reach !== undefined && wanted > this.#rows.places.rows) this.#slide();
  }

  /** Forgets rows that no later query sees. */
  #slide(): void {
    const used = this.#length - this.#first;
    const unseen = Math.max(0, used - (this.reach! - 1));
    const count = unseen - (unseen % panelKeys);
    this.#rows.drop(count, used);
    this.#first += count;
  }

  /** Takes a larger place, or where that does not fit the smallest that is enough. */
  #grow(rows: number, least: number): void {
    const used = this.#length - this.#first;
    try {
      this.#rows.grow(rows, used);
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      try {
        this.#rows.grow(least, used);
      } catch {
        throw new UnsupportedError(
          "memory",
          `Cannot append as all caches of an engine must fit into 4 GiB, the old and the new place of a growing one too: ` +
            `${least} places take ${(this.#rows.bytesOf(least) / 2 ** 30).toFixed(2)} GiB. ` +
            "Make the cache with its final capacity, dispose others, or split the batch among engines",
        );
      }
    }
  }
}
