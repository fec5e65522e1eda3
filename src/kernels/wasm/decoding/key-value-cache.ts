/**
 * @file A key/value cache for decoding: keys and values stay in the engine's memory, lifted when they are appended, and
 * queries at the last places attend to them.
 */
import { type Composition } from "../../../attention/index.ts";
import { requirePositionInside } from "../../../attention/attention.ts";
import { DomainError, UnsupportedError } from "../../../base/errors.ts";
import { requireFinite, type Tensor } from "../../../base/tensor.ts";
import {
  type CacheSizes,
  checkSizes,
  requireLogSumExp,
  requireNoChoice,
  requireShape,
} from "./cache-checks.ts";
import { CacheParameters } from "./cache-parameters.ts";
import { type StoredKeys } from "../attention/call-options.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { kernelOf } from "../attention/compiled-kernel.ts";
import { inCall, outOf } from "../attention/fused-attention.ts";
import { KernelCall } from "../attention/kernel-call.ts";
import { type KernelSpec } from "../attention/kernel-spec.ts";
import { liftRows, rowLift } from "../attention/lift-rows.ts";
import { StoredRows } from "../attention/stored-rows.ts";
import { StoredTable } from "../attention/stored-table.ts";
import { requireSupported } from "../attention/supported.ts";
import { liftValues } from "../attention/value-rows.ts";

/** What a cache is made of. */
export interface CacheOptions extends CacheSizes {
  /** Values of parameters by name, for all calls; those left out take their initial value. */
  readonly parameters?: Readonly<Record<string, Tensor>>;
}

/** What one call on a cache may be told. */
export interface CacheCall {
  /** What to return beside out: the log-sum-exp, under softmax. */
  readonly return?: readonly "lse"[];
  /** Parameters of this call, over those of the cache; not those that keys and values were lifted with. */
  readonly parameters?: Readonly<Record<string, Tensor>>;
}

/** What one call on a cache returns. */
export interface CacheResult {
  /** [B, H, Q, E] */
  readonly out: Tensor;
  /** [B, H, Q] */
  readonly lse?: Tensor;
}

/**
 * XPos scales keys by ζ^−p and queries by ζ^p, p = (place − centre)/512, and ζ ≥ 2/7: up to this length both stay within
 * 2^±58, far inside float32.
 */
const longestXpos = 32_768;

/** Keys and values of one attention, growing token by token. Made by {@link wasmCache}. */
export class KeyValueCache {
  readonly #engine: WasmEngine;
  readonly #composition: Composition;
  readonly #sizes: Required<CacheSizes>;
  readonly #parameters: CacheParameters;
  readonly #spec: KernelSpec;
  readonly #rows: StoredRows;
  readonly #table: StoredTable | undefined;
  #length = 0;
  #isDisposed = false;

  constructor(engine: WasmEngine, composition: Composition, options: CacheOptions) {
    requireSupported(composition);
    requirePositionInside(composition);
    requireNoChoice(composition);
    const { parameters = {}, ...sizes } = options;
    this.#engine = engine;
    this.#composition = composition;
    this.#sizes = checkSizes(sizes);
    this.#parameters = new CacheParameters(composition, this.#sizes, parameters);
    const { ownKeys, ownValues } = this.#parameters;
    const { batch, heads, keyHeads, width, valueWidth, capacity } = this.#sizes;
    this.#spec = kernelOf(engine, composition, { width, valueWidth, hasBias: false, hasMask: false }).spec;
    const rowHeads = {
      keys: batch * (ownKeys ? heads : keyHeads),
      values: batch * (ownValues ? heads : keyHeads),
    };
    this.#rows = new StoredRows(engine.arena, this.#spec, rowHeads, capacity);
    const { position } = composition;
    this.#table = position.place === "bias" ? new StoredTable(engine.arena, position, heads) : undefined;
  }

  /** Places that hold a key and a value. */
  get length(): number {
    return this.#length;
  }

  /** Places that there is room for before keys and values move. */
  get capacity(): number {
    return this.#isDisposed ? 0 : this.#rows.places.rows;
  }

  /** Bytes of the engine's memory that keys and values take, with the room to grow. */
  get sizeBytes(): number {
    return this.#isDisposed ? 0 : this.#rows.bytesOf(this.#rows.places.rows);
  }

  /**
   * Appends keys and values at the next places: a prefix at once, or one token. Work and memory are those of the new rows;
   * only when the capacity is used up is it doubled, and what is there is copied to its new place.
   *
   * @param k - [B, G, n, D], n ≥ 1
   * @param v - [B, G, n, E]
   * @throws ShapeError `cache-shape`, NumbersError for NaN and infinities, UnsupportedError `memory` beyond 4 GiB,
   *   `cache-length` for xPos beyond 32768 places, `cache-disposed`
   */
  append(k: Tensor, v: Tensor): void {
    this.#requireAlive("append");
    const { batch, heads, keyHeads, width, valueWidth } = this.#sizes;
    const count = k.shape[2];
    requireShape("k", k, [batch, keyHeads, count, width]);
    requireShape("v", v, [batch, keyHeads, count, valueWidth]);
    this.#makeRoom(this.#length + count);
    const { position } = this.#composition;
    const { segments, rowWidth, paddedValueWidth } = this.#spec;
    const { ownKeys, ownValues } = this.#parameters;
    const places = { first: this.#length, count, length: longestXpos };
    const lift = rowLift("key", { segments, width, rowWidth }, position, places, {
      hasMetric: ownKeys,
      turnsInKernel: false,
    });
    const lifted = new Float32Array(count * rowWidth);
    for (let number = 0; number < batch * heads; number++) {
      const [entry, head] = [Math.floor(number / heads), number % heads];
      const shared = entry * keyHeads + Math.floor((head * keyHeads) / heads);
      const isFirst = head % (heads / keyHeads) === 0;
      if (isFirst || ownKeys) {
        const source = k.data.subarray(shared * count * width, (shared + 1) * count * width);
        liftRows(lift, source, lifted, count, this.#parameters.rootMetric(head));
        this.#rows.writeKeys(ownKeys ? number : shared, this.#length, lifted);
      }
      if (isFirst || ownValues) {
        const source = v.data.subarray(shared * count * valueWidth, (shared + 1) * count * valueWidth);
        const target = this.#rows.valueRows(ownValues ? number : shared, this.#length, count);
        const curvature = this.#parameters.curvature(head);
        const layout = { width: valueWidth, paddedWidth: paddedValueWidth };
        liftValues(source, target, curvature === undefined ? layout : { ...layout, curvature });
      }
    }
    this.#length += count;
  }

  /**
   * Attends from the last Q places: query i is at place length − Q + i, and sees what the pattern allows of all keys.
   *
   * @param q - [B, H, Q, D], Q ≤ length
   * @returns out [B, H, Q, E]; lse [B, H, Q] when asked for
   * @throws ShapeError `cache-shape`, DomainError `cache-length` when Q exceeds the length, UnsupportedError
   *   `cache-parameter` for a parameter that keys or values were lifted with, `lse`, `cache-disposed`
   */
  attend(q: Tensor, { return: extras = [], parameters }: CacheCall = {}): CacheResult {
    this.#requireAlive("attend");
    const { batch, heads, keyHeads, width, valueWidth } = this.#sizes;
    const queries = q.shape[2];
    requireShape("q", q, [batch, heads, queries, width]);
    if (queries > this.#length) {
      throw new DomainError(
        "cache-length",
        `Cannot attend as queries are the last places of the cache: ${queries} queries, length ${this.#length}. ` +
          "Append their keys and values first",
      );
    }
    requireLogSumExp(this.#composition, extras);
    const { resolved, ...shared } = this.#parameters.ofCall(parameters);
    // Queries of one place are rows of their key head, which is then read once for all of them.
    const grouped = queries === 1 ? shared.grouped : undefined;
    const keys = this.#length;
    const { places } = this.#rows;
    const stored: StoredKeys = {
      ...places,
      parameters: grouped ?? resolved,
      rotationLength: longestXpos,
      table: this.#table?.place(queries, places.rows, resolved),
      isOnePlace: grouped !== undefined,
    };
    // The shapes of keys and values, whose numbers lie in the memory already.
    const empty = new Float32Array(0);
    const inputs = {
      q: grouped === undefined ? q : { data: q.data, shape: [batch, keyHeads, heads / keyHeads, width] },
      k: { data: empty, shape: [batch, keyHeads, keys, width] },
      v: { data: empty, shape: [batch, keyHeads, keys, valueWidth] },
      offset: keys - queries,
    };
    const { out, lse } = inCall(
      this.#engine.arena,
      () => new KernelCall(this.#engine, this.#composition, inputs, { stored }),
      (call) => outOf(call, extras),
    );
    const result = { data: out.data, shape: [batch, heads, queries, valueWidth] };
    requireFinite("the output of the attention", result);
    return lse === undefined
      ? { out: result }
      : { out: result, lse: { data: lse.data, shape: [batch, heads, queries] } };
  }

  /**
   * Forgets the newest places, so that `length` are left; the memory stays.
   *
   * @throws DomainError `cache-length` unless length is a whole number from 0 to the present length
   */
  truncate(length: number): void {
    this.#requireAlive("truncate");
    if (!Number.isInteger(length) || length < 0 || length > this.#length) {
      throw new DomainError(
        "cache-length",
        `Cannot truncate as a length must be a whole number from 0 to the present ${this.#length}: ${length}. ` +
          "Places that were dropped must be appended again",
      );
    }
    this.#length = length;
  }

  /** Gives the memory back to the engine. A second time does nothing. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#rows.release();
    this.#table?.release();
    this.#isDisposed = true;
    this.#length = 0;
  }

  /** Doubles the capacity until `length` places fit; where twice as much does not fit, takes what is needed. */
  #makeRoom(length: number): void {
    const { position } = this.#composition;
    if (position.place === "rotation" && position.decay !== undefined && length > longestXpos) {
      throw new UnsupportedError(
        "cache-length",
        `Cannot append as a cache scales xpos from a fixed centre, which reaches ${longestXpos} places in float32: ${length} places. ` +
          "Use rope:scaling=yarn for longer sequences",
      );
    }
    const { rows } = this.#rows.places;
    if (length <= rows) return;
    const doubled = rows * 2 ** Math.ceil(Math.log2(length / rows));
    try {
      this.#rows.grow(doubled, this.#length);
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      try {
        this.#rows.grow(length, this.#length);
      } catch {
        throw new UnsupportedError(
          "memory",
          `Cannot append as all caches of an engine must fit into 4 GiB, the old and the new place of a growing one too: ` +
            `${length} places take ${(this.#rows.bytesOf(length) / 2 ** 30).toFixed(2)} GiB. ` +
            "Make the cache with its final capacity, dispose others, or split the batch among engines",
        );
      }
    }
  }

  #requireAlive(act: string): void {
    if (!this.#isDisposed) return;
    throw new UnsupportedError(
      "cache-disposed",
      `Cannot ${act} as the cache must hold memory: it was disposed. Make a new one with wasmCache`,
    );
  }
}

/**
 * Makes an empty key/value cache in an engine's memory. It stays there between calls until `dispose()`; several caches may
 * share an engine.
 *
 * @param engine - where keys and values lie and calls run
 * @param composition - the attention, such as `compose({…})` or `attention(…).composition`
 * @param options - see {@link CacheOptions}; parameters that keys or values are lifted with are fixed here
 * @throws DomainError `cache-sizes`, UnsupportedError `wasm-part`, `position-outside`, `cache-selection`,
 *   `cache-calibration`, `memory`
 * @example
 * ```ts
 * import { causal, compose, dot, rope, tensor } from "qklab";
 * import { openEngine, wasmCache } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const composition = compose({ similarity: dot(), position: rope(), pattern: causal() });
 * const cache = wasmCache(engine, composition, { heads: 1, width: 2 });
 * const token = tensor([1, 0], [1, 1, 1, 2]);
 * cache.append(token, token);
 * cache.attend(token).out.data; // the only value: [1, 0]
 * cache.dispose();
 * engine.close();
 * ```
 */
export function wasmCache(
  engine: WasmEngine,
  composition: Composition,
  options: CacheOptions,
): KeyValueCache {
  return new KeyValueCache(engine, composition, options);
}
