/**
 * @file A key/value cache for decoding: keys and values stay in the engine's memory, lifted when they are appended, and
 * queries at the last places attend to them.
 */
import { type Composition } from "../../../attention/index.ts";
import { requirePositionInside } from "../../../attention/attention.ts";
import { openComposition } from "../../../attention/chosen-pairs.ts";
import { DomainError, UnsupportedError } from "../../../base/errors.ts";
import { requireFinite, type Tensor } from "../../../base/tensor.ts";
import { full } from "../../../patterns/index.ts";
import { nope } from "../../../positions/index.ts";
import { type CacheSizes, checkSizes, requireLogSumExp, requireShape } from "./cache-checks.ts";
import { CacheParameters, type CallParameters } from "./cache-parameters.ts";
import { ChosenKeys } from "./chosen-keys.ts";
import { firstKeysPlan, gatherRows } from "./gathered-keys.ts";
import { LiftedRows, longestXpos } from "./lifted-rows.ts";
import { PlaceBiases } from "./place-biases.ts";
import { rowsBetween } from "./rows-between.ts";
import { type StoredKeys } from "../attention/call-options.ts";
import { choiceOnEngine } from "../choices/wasm-choice.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { fusedForward, inCall, outOf } from "../attention/fused-attention.ts";
import { headRows } from "../attention/head-rows.ts";
import { KernelCall } from "../attention/kernel-call.ts";
import { type KernelSpec, tileRows } from "../attention/kernel-spec.ts";
import { StoredTable } from "../attention/stored-table.ts";
import { requireSupported } from "../attention/supported.ts";

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

/** No numbers, where the shape of a tensor alone counts. */
const empty = new Float32Array(0);

/**
 * Keys and values of one attention, growing token by token. Under a causal window of w places it keeps those that a later query can
 * see, and its memory stops growing. Made by {@link wasmCache}.
 */
export class KeyValueCache {
  readonly #engine: WasmEngine;
  readonly #composition: Composition;
  readonly #sizes: Required<CacheSizes>;
  readonly #parameters: CacheParameters;
  readonly #spec: KernelSpec;
  readonly #rows: LiftedRows;
  readonly #table: StoredTable | undefined;
  /** What follows keys where the selection chooses by them, and the attention of the keys that it kept. */
  readonly #chosen: ChosenKeys | undefined;
  readonly #ofKept: Composition;
  readonly #biases: PlaceBiases | undefined;
  #isDisposed = false;

  constructor(engine: WasmEngine, composition: Composition, options: CacheOptions) {
    requireSupported(composition);
    requirePositionInside(composition);
    const { parameters: given = {}, ...extents } = options;
    const sizes = checkSizes(extents);
    const parameters = new CacheParameters(composition, sizes, given);
    const { heads, width, valueWidth } = sizes;
    this.#engine = engine;
    this.#composition = composition;
    this.#sizes = sizes;
    this.#parameters = parameters;
    this.#chosen =
      composition.selection.choose === undefined
        ? undefined
        : new ChosenKeys(composition, sizes, parameters, choiceOnEngine(engine));
    const { position } = composition;
    const isBias = position.place === "bias";
    this.#ofKept = {
      ...openComposition(composition),
      patterns: [full()],
      ...(isBias ? { position: nope() } : {}),
    };
    this.#biases = isBias && this.#chosen !== undefined ? new PlaceBiases(position, heads) : undefined;
    this.#spec = engine.kernelOf(composition, { width, valueWidth, hasBias: false, hasMask: false }).spec;
    this.#rows = new LiftedRows({ arena: engine.arena, composition, spec: this.#spec, sizes, parameters });
    this.#table = isBias ? new StoredTable(engine.arena, position, heads) : undefined;
  }

  /** Places that a key and a value were appended for. */
  get length(): number {
    return this.#isDisposed ? 0 : this.#rows.length;
  }

  /** Places that there is room for before keys and values move. */
  get capacity(): number {
    return this.#isDisposed ? 0 : this.#rows.places.rows;
  }

  /** Bytes of the engine's memory that keys and values take, with the room to grow. */
  get sizeBytes(): number {
    return this.#isDisposed ? 0 : this.#rows.sizeBytes;
  }

  /** How many numbers it keeps for later queries: keys, values, and what a selection chooses by, without padding and room. */
  get size(): number {
    return this.#isDisposed ? 0 : this.#rows.size + (this.#chosen?.size ?? 0);
  }

  /**
   * Appends keys and values at the next places: a prefix at once, or one token. Work and memory are those of the new rows; only when
   * the capacity is used up is it doubled, and what is there is copied to its new place. Under a causal window rows that no later
   * query sees make room instead; those that queries at the places appended last see are kept.
   *
   * @param k - [B, G, n, D], n ≥ 1
   * @param v - [B, G, n, E]
   * @throws ShapeError `cache-shape`, NumbersError for NaN and infinities, UnsupportedError `memory` beyond 4 GiB,
   *   `cache-length` for xPos beyond 32768 places, `cache-disposed`
   */
  append(k: Tensor, v: Tensor): void {
    this.#requireAlive("append");
    const { batch, keyHeads, width, valueWidth } = this.#sizes;
    const count = k.shape[2];
    requireShape("k", k, [batch, keyHeads, count, width]);
    requireShape("v", v, [batch, keyHeads, count, valueWidth]);
    this.#rows.append(k, v);
    this.#chosen?.append(k);
  }

  /**
   * Attends from the last Q places: query i is at place length − Q + i, and sees what the pattern allows of all keys.
   *
   * @param q - [B, H, Q, D], Q ≤ length; Q = 1 where a selection chooses by the vectors
   * @returns out [B, H, Q, E]; lse [B, H, Q] when asked for
   * @throws ShapeError `cache-shape`, DomainError `cache-length` when Q exceeds the length or what a window has kept, UnsupportedError
   *   `cache-selection`, `cache-parameter` for a parameter that keys or values were lifted with, `lse`, `cache-disposed`
   */
  attend(q: Tensor, { return: extras = [], parameters }: CacheCall = {}): CacheResult {
    this.#requireAlive("attend");
    const { batch, heads, valueWidth, width } = this.#sizes;
    const queries = q.shape[2];
    requireShape("q", q, [batch, heads, queries, width]);
    this.#requireKeysOf(queries);
    requireLogSumExp(this.#composition, extras);
    const own = this.#parameters.ofCall(parameters);
    const chosen = this.#chosen;
    const makeCall = chosen === undefined ? this.#storedCall(q, own) : () => this.#keptCall(q, own, chosen);
    const { out, lse } = inCall(this.#engine.arena, makeCall, (call) => outOf(call, extras));
    const result = { data: out.data, shape: [batch, heads, queries, valueWidth] };
    requireFinite("the output of the attention", result);
    return lse === undefined
      ? { out: result }
      : { out: result, lse: { data: lse.data, shape: [batch, heads, queries] } };
  }

  /**
   * Appends the next places and attends from them, each to what the pattern allows of the keys that are there then: a prompt in one
   * parallel pass, or one token.
   *
   * @param q - [B, H, n, D], n ≥ 1
   * @param k - [B, G, n, D]
   * @param v - [B, G, n, E]
   * @returns out [B, H, n, E]
   * @throws as {@link KeyValueCache.append} and {@link KeyValueCache.attend}
   */
  take(q: Tensor, k: Tensor, v: Tensor): Pick<CacheResult, "out"> {
    this.#requireAlive("append");
    const count = k.shape[2];
    const { batch, heads, width, valueWidth } = this.#sizes;
    requireShape("q", q, [batch, heads, count, width]);
    if (this.#chosen !== undefined && count > 1 && this.length === 0) {
      const { given: parameters } = this.#parameters;
      const { out } = fusedForward(this.#engine, this.#composition, { q, k, v, offset: 0, parameters });
      this.append(k, v);
      requireFinite("the output of the attention", out);
      return { out };
    }
    // A window's queries take turns with its keys, so that those before can be forgotten; a choice follows one key at a time.
    const step = this.#chosen !== undefined ? 1 : this.#rows.reach === undefined ? count : tileRows;
    if (step >= count) {
      this.append(k, v);
      return this.attend(q);
    }
    const out = new Float32Array(batch * heads * count * valueWidth);
    for (let first = 0; first < count; first += step) {
      const stop = Math.min(first + step, count);
      this.append(rowsBetween(k, first, stop), rowsBetween(v, first, stop));
      const { data } = this.attend(rowsBetween(q, first, stop)).out;
      const size = (stop - first) * valueWidth;
      for (let head = 0; head < batch * heads; head++) {
        out.set(data.subarray(head * size, (head + 1) * size), (head * count + first) * valueWidth);
      }
    }
    return { out: { data: out, shape: [batch, heads, count, valueWidth] } };
  }

  /**
   * Forgets the newest places, so that `length` are left; the memory stays.
   *
   * @throws DomainError `cache-length` unless length is a whole number from 0 to the present length, or 0 where what came before
   *   has been forgotten; UnsupportedError `cache-selection` unless it is 0 where a selection chooses by the vectors
   */
  truncate(length: number): void {
    this.#requireAlive("truncate");
    if (!Number.isInteger(length) || length < 0 || length > this.length) {
      throw new DomainError(
        "cache-length",
        `Cannot truncate as a length must be a whole number from 0 to the present ${this.length}: ${length}. ` +
          "Places that were dropped must be appended again",
      );
    }
    if (length > 0 && length < this.length) {
      if (this.#chosen !== undefined) this.#refuseChoice("truncate", "forget all places or none");
      if (!this.#rows.hasKeysOf(0, length)) {
        throw new DomainError(
          "cache-length",
          `Cannot truncate as the next query must find the keys of its window: length ${length}, and places before ` +
            `${this.#rows.first} were forgotten. Truncate to 0 and append again`,
        );
      }
    }
    if (length === 0) this.#chosen?.clear();
    this.#rows.truncate(length);
  }

  /** Gives the memory back to the engine. A second time does nothing. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#rows.release();
    this.#table?.release();
    this.#isDisposed = true;
  }

  /** Makes a call on all rows; its table of biases stays between calls. */
  #storedCall(q: Tensor, { resolved, ...shared }: CallParameters): () => KernelCall {
    const { batch, heads, keyHeads, width } = this.#sizes;
    const queries = q.shape[2];
    // Queries of one place are rows of their key head, which is then read once for all of them.
    const grouped = queries === 1 ? shared.grouped : undefined;
    const { places, first, length } = this.#rows;
    const stored: StoredKeys = {
      ...places,
      first,
      parameters: grouped ?? resolved,
      rotationLength: longestXpos,
      table: this.#table?.place(queries, places.rows, resolved),
      isOnePlace: grouped !== undefined,
    };
    const inputs = {
      q: grouped === undefined ? q : { data: q.data, shape: [batch, keyHeads, heads / keyHeads, width] },
      ...this.#shapesOf(length - first),
      offset: length - first - queries,
    };
    return () => new KernelCall(this.#engine, this.#composition, inputs, { stored });
  }

  /** A call on the rows that a choice keeps, side by side. */
  #keptCall(q: Tensor, { resolved }: CallParameters, chosen: ChosenKeys): KernelCall {
    const { batch, heads, keyHeads, width, valueWidth } = this.#sizes;
    const { places, length } = this.#rows;
    const { ownKeys, ownValues } = this.#parameters;
    const kept = chosen.keptBy(q);
    const sizes = { batch, heads, keyHeads, queries: 1, keys: length, width, valueWidth };
    const gathered = gatherRows(
      this.#engine,
      this.#spec,
      places,
      headRows(sizes, { ownKeys, ownValues }).map(({ number, keyRows, valueRows }) => ({
        places: kept[number],
        keyHead: keyRows,
        valueHead: valueRows,
      })),
    );
    const stored: StoredKeys = {
      ...gathered,
      first: length - 1,
      parameters: resolved,
      rotationLength: longestXpos,
      table: undefined,
      isOnePlace: false,
    };
    const bias = this.#biases?.of(kept, length - 1, gathered.rows, batch, resolved);
    return new KernelCall(
      this.#engine,
      this.#ofKept,
      { q, ...this.#shapesOf(length), offset: 0, ...(bias === undefined ? {} : { bias }) },
      { stored, plans: kept.map(({ length: count }) => firstKeysPlan(count)) },
    );
  }

  /** The shapes of keys and values, whose numbers lie in the memory already. */
  #shapesOf(keys: number): Readonly<Record<"k" | "v", Tensor>> {
    const { batch, keyHeads, width, valueWidth } = this.#sizes;
    return {
      k: { data: empty, shape: [batch, keyHeads, keys, width] },
      v: { data: empty, shape: [batch, keyHeads, keys, valueWidth] },
    };
  }

  #requireKeysOf(queries: number): void {
    if (queries > this.length) {
      throw new DomainError(
        "cache-length",
        `Cannot attend as queries are the last places of the cache: ${queries} queries, length ${this.length}. ` +
          "Append their keys and values first",
      );
    }
    if (this.#chosen !== undefined && queries > 1) {
      this.#refuseChoice("attend", "take queries with their keys by take()");
    }
    if (this.#rows.hasKeysOf(queries, this.length)) return;
    throw new DomainError(
      "cache-length",
      `Cannot attend as queries must find the keys of their window: ${queries} queries, length ${this.length}, and places before ` +
        `${this.#rows.first} were forgotten. Take queries with their keys by take()`,
    );
  }

  #refuseChoice(act: string, cure: string): never {
    const { name } = this.#composition.selection;
    throw new UnsupportedError(
      "cache-selection",
      `Cannot ${act} as '${name}' has followed the keys to the last place, and chooses for a query there alone: ` +
        `${this.length} places. To go on, ${cure}`,
    );
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
