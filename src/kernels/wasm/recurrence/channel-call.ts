/** @file One call of channels: where its rows, states and gradients lie in the engine's memory, and the tasks over them. */
import { type Tensor, type Tensor64, zeros64 } from "../../../base/tensor.ts";
import { type ChannelInputs } from "../../../recurrence/rwkv4-channel.ts";
import { padRows } from "../attention/value-rows.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { runTasks } from "../engine/task-records.ts";
import { channelsAtOnce, channelScratchBytes, channelState } from "./channel-tasks.ts";
import { recurrenceCode, type RecurrenceRecord, unpadRows } from "./recurrence-call.ts";
import { channelExtent, type ChannelSpec, chunkTokens, recurrenceFields } from "./spec.ts";

/** The extents of a call. */
export interface ChannelSizes {
  readonly batch: number;
  readonly heads: number;
  readonly tokens: number;
  /** D, channels of a head. */
  readonly width: number;
}

/** One channel of one head of one batch entry. */
export interface ChannelPlace {
  /** The head among those of all batch entries. */
  readonly number: number;
  /** The channel within its head. */
  readonly at: number;
  /** The channel among all. */
  readonly row: number;
}

/** A state as the kernels hold it. */
export type HeldState = Readonly<Record<(typeof channelState)[number], number>>;

/** The state that kernels begin with: its scale a float32, −∞ where nothing is stored. */
export function heldState(numbers: ArrayLike<number> | undefined): HeldState {
  if (numbers === undefined || numbers[1] === 0) {
    return { numerator: 0, denominator: 0, largest: -Infinity, age: 0 };
  }
  const largest = Math.fround(numbers[2]);
  const factor = Math.exp(numbers[2] - largest);
  return { numerator: factor * numbers[0], denominator: factor * numbers[1], largest, age: 0 };
}

/** The code of channels of a width. */
export function channelCode(engine: WasmEngine, width: number): { code: KernelCode; spec: ChannelSpec } {
  const { relaxed, shared } = engine;
  const spec: ChannelSpec = { core: "channels", width, relaxed, shared };
  return { code: recurrenceCode(engine, spec), spec };
}

/** Addresses of a call. */
export class ChannelCall {
  readonly #engine: WasmEngine;
  readonly #code: KernelCode;
  readonly #scratch: number;
  /** D' */
  readonly #extent: number;
  readonly #places: Readonly<Record<"k" | "v" | "decay" | "u" | "states", number>>;
  readonly #logs: Float32Array;
  readonly #hasChunks: boolean;
  readonly sizes: ChannelSizes;
  /** Chunks of a head. */
  readonly chunks: number;

  /** @param hasChunks - whether states at the starts of chunks are held beside the running one */
  constructor(engine: WasmEngine, { k, v, logDecay, u }: ChannelInputs<Tensor>, hasChunks: boolean) {
    const [batch, heads, tokens, width] = k.shape;
    const { code, spec } = channelCode(engine, width);
    this.#engine = engine;
    this.#code = code;
    this.#extent = channelExtent(spec);
    this.#hasChunks = hasChunks;
    this.#logs = logDecay.data;
    this.sizes = { batch, heads, tokens, width };
    this.chunks = Math.ceil(tokens / chunkTokens);
    this.#scratch = engine.arena.take(channelScratchBytes * engine.threads);
    this.#places = {
      k: this.#copy(k),
      v: this.#copy(v),
      decay: this.#copy(logDecay),
      u: this.#copy(u),
      states: this.#take(batch * heads * this.#statesFloats),
    };
  }

  /** Floats of the states of a head. */
  get #statesFloats(): number {
    return (this.#hasChunks ? this.chunks + 1 : 1) * this.#stateFloats;
  }

  get #stateFloats(): number {
    return channelState.length * this.#extent;
  }

  #take(floats: number): number {
    return this.#engine.arena.take(4 * floats);
  }

  #view(address: number, floats: number): Float32Array {
    return this.#engine.arena.floats.subarray(address / 4, address / 4 + floats);
  }

  /** Rows of D numbers as rows of D'. */
  #copy({ data }: Tensor): number {
    const floats = (data.length / this.sizes.width) * this.#extent;
    const address = this.#take(floats);
    padRows(data, this.#view(address, floats), this.sizes.width, this.#extent);
    return address;
  }

  /** Rows of D' numbers as a tensor. */
  #read(address: number, shape: readonly number[]): Tensor {
    const { width } = this.sizes;
    const rows = shape.reduce((product, extent) => product * extent, 1) / width;
    const data = new Float32Array(rows * width);
    unpadRows(this.#view(address, rows * this.#extent), this.#extent, data, 0, rows, width);
    return { data, shape };
  }

  /** Every channel of every head. */
  forChannels(visit: (place: ChannelPlace) => void): void {
    const { batch, heads, width } = this.sizes;
    for (let number = 0; number < batch * heads; number++) {
      for (let at = 0; at < width; at++) visit({ number, at, row: number * width + at });
    }
  }

  #stateView(number: number, chunk: number): Float32Array {
    const place = number * this.#statesFloats + (this.#hasChunks ? chunk * this.#stateFloats : 0);
    return this.#view(this.#places.states + 4 * place, this.#stateFloats);
  }

  /** Sets the states before the first token. */
  writeFirst(given: Tensor64 | undefined): void {
    const { batch, heads } = this.sizes;
    for (let number = 0; number < batch * heads; number++) {
      this.#stateView(number, 0)
        .fill(0)
        .fill(-Infinity, 2 * this.#extent, 3 * this.#extent);
    }
    this.forChannels(({ number, at, row }) => {
      const held = heldState(given?.data.subarray(3 * row, 3 * row + 3));
      const view = this.#stateView(number, 0);
      channelState.forEach((name, place) => (view[place * this.#extent + at] = held[name]));
    });
  }

  /** The state of a channel before a chunk, or behind the last. */
  stateOf({ number, at }: ChannelPlace, chunk: number): HeldState {
    const view = this.#stateView(number, chunk);
    const numbers = channelState.map((name, place) => [name, view[place * this.#extent + at]]);
    return Object.fromEntries(numbers) as HeldState;
  }

  copyStates(): Float32Array {
    const { batch, heads } = this.sizes;
    return this.#view(this.#places.states, batch * heads * this.#statesFloats).slice();
  }

  restoreStates(states: Float32Array): void {
    this.#view(this.#places.states, states.length).set(states);
  }

  /** Outputs, and the last state with its scale p = m + age·log w. */
  forward(): { readonly out: Tensor; readonly state: Tensor64 } {
    const { batch, heads, tokens, width } = this.sizes;
    const out = this.#take(batch * heads * tokens * this.#extent);
    this.#run("channels", (number, column) => ({
      state: this.#places.states + 4 * (number * this.#statesFloats + column),
      out: out + 4 * (number * tokens * this.#extent + column),
      stride: this.#hasChunks ? 4 * this.#stateFloats : 0,
    }));
    const state = zeros64([batch, heads, width, 3]);
    this.forChannels((place) => {
      const { numerator, denominator, largest, age } = this.stateOf(place, this.chunks);
      const log = this.#logs[(place.number % heads) * width + place.at];
      state.data.set([numerator, denominator, largest + age * log], 3 * place.row);
    });
    return { out: this.#read(out, [batch, heads, tokens, width]), state };
  }

  /** Gradients by the rows and rates, and by the numerators and denominators of the first state, [B·H·D, 2]. */
  backward(
    dOut: Tensor,
    ending: Tensor64 | undefined,
  ): ChannelInputs<Tensor64> & { readonly begins: Tensor64 } {
    const { batch, heads, tokens, width } = this.sizes;
    const count = batch * heads;
    const rowFloats = tokens * this.#extent;
    const outGradient = this.#copy(dOut);
    const [dk, dv] = [this.#take(count * rowFloats), this.#take(count * rowFloats)];
    const [dDecay, du] = [0, 1].map(() => this.#take(count * this.chunks * this.#extent));
    const endings = this.#take(2 * count * this.#extent);
    this.#view(endings, 2 * count * this.#extent).fill(0);
    const endingAt = ({ number, at }: ChannelPlace, which: number): number =>
      endings / 4 + (2 * number + which) * this.#extent + at;
    if (ending !== undefined) {
      const { floats } = this.#engine.arena;
      this.forChannels((place) => {
        for (const which of [0, 1]) floats[endingAt(place, which)] = ending.data[3 * place.row + which];
      });
    }
    this.#run("channelGradients", (number, column) => {
      const row = 4 * (number * rowFloats + column);
      const ofLast = 4 * ((number * this.chunks + this.chunks - 1) * this.#extent + column);
      const state = number * this.#statesFloats + (this.chunks - 1) * this.#stateFloats + column;
      return {
        state: this.#places.states + 4 * state,
        stride: 4 * this.#stateFloats,
        stateGradient: endings + 4 * (2 * number * this.#extent + column),
        outGradient: outGradient + row,
        kGradient: dk + row,
        vGradient: dv + row,
        decayGradient: dDecay + ofLast,
        uGradient: du + ofLast,
      };
    });
    const begins = zeros64([count * width, 2]);
    const { floats } = this.#engine.arena;
    this.forChannels((place) => {
      for (const which of [0, 1]) begins.data[2 * place.row + which] = floats[endingAt(place, which)];
    });
    const shape = [batch, heads, tokens, width];
    const wide = (address: number): Tensor64 => ({
      data: Float64Array.from(this.#read(address, shape).data),
      shape,
    });
    return {
      k: wide(dk),
      v: wide(dv),
      logDecay: this.#sumChunks(dDecay),
      u: this.#sumChunks(du),
      begins,
    };
  }

  /** The sums over chunks and batch entries of [B·H, chunks, D'], [H, D]. */
  #sumChunks(address: number): Tensor64 {
    const { heads, width } = this.sizes;
    const sums = zeros64([heads, width]);
    this.forChannels(({ number, at }) => {
      const parts = this.#view(address + 4 * number * this.chunks * this.#extent, this.chunks * this.#extent);
      for (let chunk = 0; chunk < this.chunks; chunk++) {
        sums.data[(number % heads) * width + at] += parts[chunk * this.#extent + at];
      }
    });
    return sums;
  }

  /** One task for some channels of every head; channels are split so that every thread has work. */
  #run(
    task: "channels" | "channelGradients",
    fields: (number: number, column: number) => RecurrenceRecord,
  ): void {
    const { batch, heads, tokens } = this.sizes;
    const { k, v, decay, u } = this.#places;
    const wanted = Math.ceil((2 * this.#engine.threads) / (batch * heads));
    const some = roundUp(Math.ceil(this.#extent / wanted), channelsAtOnce);
    const records = Array.from({ length: batch * heads }, (_, number) =>
      Array.from({ length: Math.ceil(this.#extent / some) }, (_, part): RecurrenceRecord => {
        const column = part * some;
        const row = 4 * (number * tokens * this.#extent + column);
        const rate = 4 * ((number % heads) * this.#extent + column);
        return {
          k: k + row,
          v: v + row,
          decay: decay + rate,
          u: u + rate,
          rows: tokens,
          count: this.chunks,
          columns: Math.min(some, this.#extent - column),
          ...fields(number, column),
        };
      }),
    ).flat();
    runTasks(this.#engine, task, recurrenceFields, records, {
      kernel: this.#code,
      scratch: this.#scratch,
      scratchBytes: channelScratchBytes,
    });
  }
}
