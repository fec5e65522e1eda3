/**
 * @file A key/value cache for decoding: keys and values stay in the engine's memory, lifted when they are appended, and
 * queries at the last places attend to them.
 */
import { type Composition, resolveParameters } from "../../attention/index.ts";
import { requirePositionInside } from "../../attention/attention.ts";
import { DomainError, UnsupportedError } from "../../base/errors.ts";
import { requireFinite, type Tensor, type Tensor64 } from "../../base/tensor.ts";
import {
  type CacheSizes,
  checkSizes,
  requireLogSumExp,
  requireNoChoice,
  requireNothingCalibrated,
  requireShape,
} from "./cache-checks.ts";
import { type WasmEngine } from "./engine.ts";
import { forwardOf, inCall } from "./fused-attention.ts";
import { type StoredKeys } from "./call-options.ts";
import { KernelCall } from "./kernel-call.ts";
import { type KernelSpec } from "./kernel-spec.ts";
import { liftRows, rowLift } from "./lift-rows.ts";
import { StoredRows } from "./stored-rows.ts";
import { StoredTable } from "./stored-table.ts";
import { requireSupported } from "./supported.ts";
import { liftValues } from "./value-rows.ts";

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
  readonly #given: Readonly<Record<string, Tensor>>;
  readonly #parameters: Readonly<Record<string, Tensor64>>;
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
    this.#given = frozen(parameters);
    requireNothingCalibrated(composition, this.#given);
    this.#parameters = resolveParameters(composition, this.#sizes, this.#given);
    const { batch, heads, keyHeads, width, valueWidth, capacity } = this.#sizes;
    this.#spec = engine.kernelOf(composition, { width, valueWidth, hasBias: false, hasMask: false }).spec;
    const rowHeads = {
      keys: batch * (this.#ownKeys ? heads : keyHeads),
      values: batch * (this.#ownValues ? heads : keyHeads),
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

  /** Whether every query head has keys of its own, as a metric of its own lifts them. */
  get #ownKeys(): boolean {
    return this.#composition.similarity.metric !== undefined;
  }
  get #ownValues(): boolean {
    return this.#composition.aggregation.name === "centroid";
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
    const { segments, rowWidth } = this.#spec;
    const places = { first: this.#length, count, length: longestXpos };
    const lift = rowLift("key", { segments, width, rowWidth }, position, places, {
      hasMetric: this.#ownKeys,
      turnsInKernel: false,
    });
    const lifted = new Float32Array(count * rowWidth);
    for (let number = 0; number < batch * heads; number++) {
      const [entry, head] = [Math.floor(number / heads), number % heads];
      const shared = entry * keyHeads + Math.floor((head * keyHeads) / heads);
      const isFirst = head % (heads / keyHeads) === 0;
      if (isFirst || this.#ownKeys) {
        const source = k.data.subarray(shared * count * width, (shared + 1) * count * width);
        liftRows(lift, source, lifted, count, this.#rootMetric(head));
        this.#rows.writeKeys(this.#ownKeys ? number : shared, this.#length, lifted);
      }
      if (isFirst || this.#ownValues) {
        const source = v.data.subarray(shared * count * valueWidth, (shared + 1) * count * valueWidth);
        const target = this.#rows.valueRows(this.#ownValues ? number : shared, this.#length, count);
        liftValues(source, target, {
          width: valueWidth,
          paddedWidth: this.#spec.paddedValueWidth,
          ...(this.#ownValues ? { curvature: this.#curvature(head) } : {}),
        });
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
    const resolved = this.#resolve(parameters);
    const keys = this.#length;
    const { places } = this.#rows;
    const stored: StoredKeys = {
      ...places,
      parameters: resolved,
      rotationLength: longestXpos,
      table: this.#table?.place(queries, places.rows, resolved),
    };
    // The shapes of keys and values, whose numbers lie in the memory already.
    const empty = new Float32Array(0);
    const inputs = {
      q,
      k: { data: empty, shape: [batch, keyHeads, keys, width] },
      v: { data: empty, shape: [batch, keyHeads, keys, valueWidth] },
      offset: keys - queries,
    };
    const { out, lse } = inCall(
      this.#engine.arena,
      () => new KernelCall(this.#engine, this.#composition, inputs, { stored }),
      (call) => forwardOf(call, extras),
    );
    requireFinite("the output of the attention", out);
    return lse === undefined ? { out } : { out, lse };
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

  #rootMetric(head: number): Float64Array | undefined {
    const { metric } = this.#composition.similarity;
    if (metric === undefined) return undefined;
    const { width } = this.#sizes;
    return this.#parameters[metric].data.subarray(head * width, (head + 1) * width).map(Math.sqrt);
  }

  #curvature(head: number): number {
    const [parameter] = this.#composition.aggregation.parameters;
    return parameter === undefined ? 1 : this.#parameters[parameter.name].data[head];
  }

  #resolve(parameters: CacheCall["parameters"]): Readonly<Record<string, Tensor64>> {
    if (parameters === undefined) return this.#parameters;
    const { similarity, aggregation } = this.#composition;
    const ofValues = this.#ownValues ? aggregation.parameters.map(({ name }) => name) : [];
    const lifting = new Set([similarity.metric, ...ofValues]);
    const fixed = Object.keys(parameters).find((name) => lifting.has(name));
    if (fixed !== undefined) {
      throw new UnsupportedError(
        "cache-parameter",
        `Cannot set '${fixed}' for one call as what is in the cache was lifted with it: it is fixed when the cache is made. ` +
          "Pass it to wasmCache, or make a new cache and append again",
      );
    }
    return resolveParameters(this.#composition, this.#sizes, { ...this.#given, ...parameters });
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

/** Copies, so that nobody changes what keys were lifted with. */
function frozen(parameters: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { data, shape }]) => [
      name,
      { data: data.slice(), shape: [...shape] },
    ]),
  );
}
