/**
 * @file Decoding with channels (rwkv4): the state stays in the engine's memory and takes one token after the other, in time and
 * memory that do not know how many there were.
 */
import { DomainError, UnsupportedError } from "../../../base/errors.ts";
import { requireFinite, type Tensor, type Tensor64, zeros64 } from "../../../base/tensor.ts";
import { requireShape } from "../../../recurrence/core.ts";
import { type ChannelInputs } from "../../../recurrence/rwkv4-channel.ts";
import { type KernelCode, taskNumber, type WasmEngine } from "../engine/engine.ts";
import { recordBytes } from "../engine/scratch.ts";
import { channelCode, type ChannelSizes, heldState } from "./channel-call.ts";
import { channelState } from "./channel-tasks.ts";
import { fusedChannels } from "./fused-channels.ts";
import { channelExtent, type RecurrenceField, recurrenceFields } from "./spec.ts";

/** What a state of channels is made for. */
export interface ChannelStateSizes {
  /** B (default 1). */
  readonly batch?: number;
  /** H */
  readonly heads: number;
  /** D, channels of a head. */
  readonly width: number;
}

/** Inputs of some tokens; the state is there already. */
export type ChannelTokens = Omit<ChannelInputs<Tensor>, "state">;

/** Fewer channels than this are updated before another thread would be awake. */
const fewChannels = 2 ** 14;
/** Tokens since the largest key are counted in float32, which is exact up to 2²⁴. */
const mostTokensBetweenReads = 2 ** 20;

/** The state of one rwkv4, advancing token by token. Made by {@link wasmChannels}. */
export class ChannelState {
  readonly #engine: WasmEngine;
  readonly #code: KernelCode;
  readonly #sizes: ChannelSizes;
  /** D' */
  readonly #extent: number;
  readonly #block: number;
  readonly #places: Readonly<Record<"state" | "k" | "v" | "decay" | "u" | "out" | "records", number>>;
  readonly #sizeBytes: number;
  readonly #logs: Float32Array;
  #length = 0;
  #isDisposed = false;

  constructor(engine: WasmEngine, { batch = 1, heads, width }: ChannelStateSizes) {
    for (const [name, value] of Object.entries({ batch, heads, width })) {
      if (Number.isSafeInteger(value) && value > 0) continue;
      throw new DomainError(
        "recurrence-sizes",
        `Cannot make a recurrent state as ${name} must be a whole number above 0: ${value}. Pass another`,
      );
    }
    const { code, spec } = channelCode(engine, width);
    this.#engine = engine;
    this.#code = code;
    this.#sizes = { batch, heads, tokens: 1, width };
    this.#extent = channelExtent(spec);
    this.#logs = new Float32Array(heads * width);
    const count = batch * heads;
    let bytes = 0;
    const take = (size: number): number => {
      const at = bytes;
      bytes += Math.ceil(size / 64) * 64;
      return at;
    };
    const rows = (): number => take(4 * count * this.#extent);
    const places = {
      state: take(4 * channelState.length * count * this.#extent),
      k: rows(),
      v: rows(),
      decay: rows(),
      u: rows(),
      out: rows(),
      records: take(count * recordBytes),
    };
    this.#sizeBytes = bytes;
    this.#block = engine.arena.keep(bytes);
    this.#places = Object.fromEntries(
      Object.entries(places).map(([name, offset]) => [name, this.#block + offset]),
    ) as Record<keyof typeof places, number>;
    // What pads rows and states stays 0.
    engine.arena.floats.fill(0, this.#block / 4, (this.#block + bytes) / 4);
    this.#writeRecords();
    this.#write(undefined);
  }

  /** Tokens that the state has taken since it was made or set. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of the engine's memory that it takes, whatever its length. */
  get sizeBytes(): number {
    return this.#isDisposed ? 0 : this.#sizeBytes;
  }

  /**
   * Takes one token, or several at once, and returns what they read.
   *
   * @param inputs - k and v [B, H, n, D] with n ≥ 1; logDecay and u [H, D]
   * @returns [B, H, n, D]
   * @throws ShapeError, DomainError or NumbersError when inputs do not fit; UnsupportedError `memory`, `cache-disposed`
   */
  step(inputs: ChannelTokens): Tensor {
    this.#requireAlive("step");
    const { batch, heads, width } = this.#sizes;
    const tokens = this.#check(inputs);
    const { k, v, logDecay, u } = inputs;
    if (tokens > 1 || this.#length % mostTokensBetweenReads === mostTokensBetweenReads - 1) {
      const { out, state } = fusedChannels(this.#engine, { k, v, logDecay, u, state: this.state });
      this.#write(state);
      this.#length += tokens;
      return out;
    }
    this.#writeRows("k", k);
    this.#writeRows("v", v);
    this.#writeRows("decay", logDecay);
    this.#writeRows("u", u);
    this.#logs.set(logDecay.data);
    const count = batch * heads;
    this.#engine.run({
      kernel: this.#code,
      records: this.#places.records,
      scratch: 0,
      scratchBytes: 0,
      count,
      isSmall: count * width < fewChannels,
    });
    this.#length += 1;
    const out = { data: new Float32Array(count * width), shape: [batch, heads, 1, width] };
    const { floats } = this.#engine.arena;
    for (let number = 0; number < count; number++) {
      const from = this.#places.out / 4 + number * this.#extent;
      for (let at = 0; at < width; at++) out.data[number * width + at] = floats[from + at];
    }
    requireFinite("the output of the recurrence", out);
    return out;
  }

  #check({ k, v, logDecay, u }: ChannelTokens): number {
    const { batch, heads, width } = this.#sizes;
    const tokens = k.shape[2];
    requireShape("k", k.shape, [batch, heads, Math.max(1, tokens), width]);
    requireShape("v", v.shape, k.shape);
    requireShape("logDecay", logDecay.shape, [heads, width]);
    requireShape("u", u.shape, [heads, width]);
    for (const [name, tensor] of Object.entries({ k, v, logDecay, u })) requireFinite(name, tensor);
    const above = logDecay.data.find((log) => log > 0);
    if (above === undefined) return tokens;
    throw new DomainError(
      "decay-domain",
      `Cannot forget at this rate as the logarithm of a decay must not be above zero: ${above}. Pass log w of w in (0, 1]`,
    );
  }

  /** Numerator, denominator and the logarithm of their scale after the last token, [B, H, D, 3]; zeros before the first. */
  get state(): Tensor64 {
    this.#requireAlive("read");
    const { batch, heads, width } = this.#sizes;
    const state = zeros64([batch, heads, width, 3]);
    const { floats } = this.#engine.arena;
    for (let row = 0; row < batch * heads * width; row++) {
      const [numerator, denominator, largest, age] = channelState.map(
        (_, place) => floats[this.#placeOf(row, place)],
      );
      if (denominator === 0) continue;
      const p = largest + age * this.#logs[row % (heads * width)];
      state.data.set([numerator, denominator, p], 3 * row);
    }
    return state;
  }

  /**
   * Goes on from another state: one that was read before, or an empty one when left out. Its length begins at 0.
   *
   * @throws ShapeError `recurrence-shape`, NumbersError, UnsupportedError `cache-disposed`
   */
  reset(state?: Tensor64): void {
    this.#requireAlive("reset");
    const { batch, heads, width } = this.#sizes;
    if (state !== undefined) {
      requireShape("state", state.shape, [batch, heads, width, 3]);
      requireFinite("state", state);
    }
    this.#write(state);
    this.#length = 0;
  }

  /** Gives the memory back to the engine. A second time does nothing. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#engine.arena.release(this.#block);
    this.#isDisposed = true;
    this.#length = 0;
  }

  #placeOf(row: number, place: number): number {
    const { width } = this.#sizes;
    const number = Math.floor(row / width);
    return this.#places.state / 4 + (number * channelState.length + place) * this.#extent + (row % width);
  }

  #write(state: Tensor64 | undefined): void {
    const { batch, heads, width } = this.#sizes;
    const { floats } = this.#engine.arena;
    for (let row = 0; row < batch * heads * width; row++) {
      const held = heldState(state?.data.subarray(3 * row, 3 * row + 3));
      channelState.forEach((name, place) => (floats[this.#placeOf(row, place)] = held[name]));
    }
  }

  /** One record a head, the same for every token: the state is written where it was read. */
  #writeRecords(): void {
    const { batch, heads } = this.#sizes;
    const { integers } = this.#engine.arena;
    const { state, k, v, decay, u, out, records } = this.#places;
    for (let number = 0; number < batch * heads; number++) {
      const row = (address: number, rows = 1): number => address + 4 * number * rows * this.#extent;
      const record: Partial<Record<RecurrenceField, number>> = {
        task: taskNumber("channels"),
        state: row(state, channelState.length),
        k: row(k),
        v: row(v),
        decay: row(decay),
        u: row(u),
        out: row(out),
        rows: 1,
        count: 1,
        columns: this.#extent,
      };
      recurrenceFields.forEach((name, place) => {
        integers[(records + number * recordBytes) / 4 + place] = record[name] ?? 0;
      });
    }
  }

  /** Rows for every head; rates are those of every batch entry. */
  #writeRows(name: "k" | "v" | "decay" | "u", { data }: Tensor): void {
    const { batch, heads, width } = this.#sizes;
    const { floats } = this.#engine.arena;
    for (let number = 0; number < batch * heads; number++) {
      const [from, to] = [(number * width) % data.length, this.#places[name] / 4 + number * this.#extent];
      for (let at = 0; at < width; at++) floats[to + at] = data[from + at];
    }
  }

  #requireAlive(act: string): void {
    if (!this.#isDisposed) return;
    throw new UnsupportedError(
      "cache-disposed",
      `Cannot ${act} as the state must hold memory: it was disposed. Make a new one with wasmChannels`,
    );
  }
}

/**
 * Makes an empty state of channels (rwkv4) in an engine's memory. It stays there between calls until `dispose()`; several may
 * share an engine.
 *
 * @param engine - where the state lies and steps run
 * @throws DomainError `recurrence-sizes`, UnsupportedError `memory`
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { openEngine, wasmChannels } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const state = wasmChannels(engine, { heads: 1, width: 2 });
 * const rates = { logDecay: tensor([-1, -1], [1, 2]), u: tensor([0, 0], [1, 2]) };
 * const [k, v] = [tensor([0, 0], [1, 1, 1, 2]), tensor([1, 3], [1, 1, 1, 2])];
 * state.step({ k, v, ...rates }).data; // [1, 3]
 * state.dispose();
 * engine.close();
 * ```
 */
export function wasmChannels(engine: WasmEngine, sizes: ChannelStateSizes): ChannelState {
  return new ChannelState(engine, sizes);
}
