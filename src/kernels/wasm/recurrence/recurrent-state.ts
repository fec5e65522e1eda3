/**
 * @file Decoding with the core of the recurrent class: the state stays in the engine's memory and takes one token after the
 * other, in time and memory that do not know how many there were.
 */
import { DomainError, UnsupportedError } from "../../../base/errors.ts";
import { requireFinite, type Tensor } from "../../../base/tensor.ts";
import {
  checkCoreInputs,
  type Core,
  type CoreInputs,
  type CoreSizes,
  requireShape,
  sharedHead,
} from "../../../recurrence/core.ts";
import { type KernelCode, taskNumber, type WasmEngine } from "../engine/engine.ts";
import { recordBytes } from "../engine/scratch.ts";
import { fusedRecurrence } from "./fused-recurrence.ts";
import { recurrenceCode } from "./recurrence-call.ts";
import { type Extents, extentsOf, type RecurrenceField, recurrenceFields } from "./spec.ts";
import { stepScratchBytes } from "./step-task.ts";

/** What a state is made for. */
export interface RecurrentStateSizes {
  /** B (default 1). */
  readonly batch?: number;
  /** H */
  readonly heads: number;
  /** D, of queries and keys after their map. */
  readonly width: number;
  /** E (default D). */
  readonly valueWidth?: number;
}

/** Inputs of some tokens; the state is there already. */
export type TokenInputs = Omit<CoreInputs<Tensor>, "state">;

/** Rows of a token that a step reads or writes, as its record names them. */
type StepRow = "q" | "k" | "v" | "decay" | "a" | "b" | "u" | "out";

/** Fewer numbers of states than this are updated before another thread would be awake. */
const fewNumbers = 2 ** 17;

/** The state of one recurrence, advancing token by token. Made by {@link wasmRecurrence}. */
export class RecurrentState {
  readonly #engine: WasmEngine;
  readonly #core: Core;
  readonly #sizes: CoreSizes;
  readonly #extents: Extents;
  readonly #code: KernelCode;
  readonly #block: number;
  readonly #places: Readonly<Record<StepRow | "state" | "records" | "scratch", number>>;
  readonly #sizeBytes: number;
  readonly #scratchBytes: number;
  readonly #tasks: number;
  #length = 0;
  #isDisposed = false;

  constructor(engine: WasmEngine, core: Core, given: RecurrentStateSizes) {
    const { batch = 1, heads, width, valueWidth = width } = given;
    for (const [name, value] of Object.entries({ batch, heads, width, valueWidth })) {
      if (Number.isSafeInteger(value) && value > 0) continue;
      throw new DomainError(
        "recurrence-sizes",
        `Cannot make a recurrent state as ${name} must be a whole number above 0: ${value}. Pass another`,
      );
    }
    const stateWidth = valueWidth + (core.normalised ? 1 : 0);
    const { relaxed, shared } = engine;
    const spec = { core, width, valueWidth, relaxed, shared };
    this.#engine = engine;
    this.#core = core;
    this.#sizes = { batch, heads, tokens: 1, width, valueWidth, stateWidth };
    this.#extents = extentsOf(spec);
    this.#code = recurrenceCode(engine, spec);
    this.#scratchBytes = stepScratchBytes(spec);
    const count = batch * heads;
    const { state, columns } = this.#extents;
    this.#tasks = count * state < fewNumbers ? 1 : Math.min(count, engine.threads);
    let bytes = 0;
    const take = (size: number): number => {
      const at = bytes;
      bytes += Math.ceil(size / 64) * 64;
      return at;
    };
    const keyRows = (isThere = true): number => (isThere ? take(4 * count * this.#extents.width) : 0);
    const places = {
      state: take(4 * count * state),
      q: keyRows(),
      k: keyRows(),
      a: keyRows(core.correction),
      b: keyRows(core.correction),
      u: keyRows(core.read === "bonus"),
      decay: keyRows(core.decay !== "none"),
      v: take(4 * count * columns),
      out: take(4 * count * columns),
      records: take(this.#tasks * recordBytes),
      scratch: take(engine.threads * this.#scratchBytes),
    };
    this.#sizeBytes = bytes;
    const { arena } = engine;
    this.#block = arena.keep(bytes);
    this.#places = Object.fromEntries(
      Object.entries(places).map(([name, offset]) => [name, this.#block + offset]),
    ) as Record<keyof typeof places, number>;
    // What pads rows and states stays 0.
    arena.floats.fill(0, this.#block / 4, (this.#block + bytes) / 4);
    if (core.normalised) {
      const ones = this.#places.v / 4 + valueWidth;
      for (let number = 0; number < count; number++) arena.floats[ones + number * columns] = 1;
    }
    this.#writeRecords();
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
   * @param inputs - q [B, H, n, D], k [B, G, n, D], v [B, G, n, E] and what else the terms need; n ≥ 1
   * @returns [B, H, n, E]
   * @throws ShapeError, DomainError or NumbersError when inputs do not fit; UnsupportedError `memory`, `cache-disposed`
   */
  step(inputs: TokenInputs): Tensor {
    this.#requireAlive("step");
    const { batch, heads, width, valueWidth } = this.#sizes;
    const sizes = checkCoreInputs(this.#core, inputs);
    const { tokens } = sizes;
    requireShape("q", inputs.q.shape, [batch, heads, tokens, width]);
    if (valueWidth !== sizes.valueWidth)
      requireShape("v", inputs.v.shape, [batch, heads, tokens, valueWidth]);
    if (tokens > 1) {
      const { out, state } = fusedRecurrence(this.#engine, this.#core, { ...inputs, state: this.state });
      this.#write(state);
      this.#length += tokens;
      return out;
    }
    this.#writeToken(inputs);
    const { records, scratch } = this.#places;
    const phase = { records, scratch, scratchBytes: this.#scratchBytes, count: this.#tasks };
    this.#engine.run({ kernel: this.#code, ...phase });
    this.#length += 1;
    const out = { data: this.#readOut(), shape: [batch, heads, 1, valueWidth] };
    requireFinite("the output of the recurrence", out);
    return out;
  }

  /** M after the last token, [B, H, D, E], or [B, H, D, E + 1] where normalised. */
  get state(): Tensor {
    this.#requireAlive("read");
    const { batch, heads, width, stateWidth } = this.#sizes;
    const { columns, state } = this.#extents;
    const data = new Float32Array(batch * heads * width * stateWidth);
    const { floats } = this.#engine.arena;
    for (let row = 0; row < batch * heads * width; row++) {
      const [number, d] = [Math.floor(row / width), row % width];
      const from = this.#places.state / 4 + number * state + d * columns;
      data.set(floats.subarray(from, from + stateWidth), row * stateWidth);
    }
    return { data, shape: [batch, heads, width, stateWidth] };
  }

  /**
   * Goes on from another state: one that was read before, or zeros when left out. Its length begins at 0.
   *
   * @throws ShapeError `recurrence-shape`, NumbersError, UnsupportedError `cache-disposed`
   */
  reset(state?: Tensor): void {
    this.#requireAlive("reset");
    const { batch, heads, width, stateWidth } = this.#sizes;
    const shape = [batch, heads, width, stateWidth];
    if (state !== undefined) {
      requireShape("state", state.shape, shape);
      requireFinite("state", state);
    }
    this.#write(state ?? { data: new Float32Array(batch * heads * width * stateWidth), shape });
    this.#length = 0;
  }

  /** Gives the memory back to the engine. A second time does nothing. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#engine.arena.release(this.#block);
    this.#isDisposed = true;
    this.#length = 0;
  }

  #write({ data }: Tensor): void {
    const { batch, heads, width, stateWidth } = this.#sizes;
    const { columns, state } = this.#extents;
    const { floats } = this.#engine.arena;
    for (let row = 0; row < batch * heads * width; row++) {
      const [number, d] = [Math.floor(row / width), row % width];
      const to = this.#places.state / 4 + number * state + d * columns;
      floats.set(data.subarray(row * stateWidth, (row + 1) * stateWidth), to);
    }
  }

  /** One record a task, each with its share of the heads; the same for every token. */
  #writeRecords(): void {
    const { batch, heads } = this.#sizes;
    const { width, columns, state } = this.#extents;
    const { integers } = this.#engine.arena;
    const { state: states, q, k, a, b, u, decay, v, out, records } = this.#places;
    const count = batch * heads;
    const share = Math.ceil(count / this.#tasks);
    const decayFloats = this.#core.decay === "head" ? 1 : width;
    for (let task = 0; task < this.#tasks; task++) {
      const first = task * share;
      const row = (address: number, floats: number): number => address + 4 * first * floats;
      const record: Partial<Record<RecurrenceField, number>> = {
        task: taskNumber("step"),
        state: row(states, state),
        q: row(q, width),
        k: row(k, width),
        a: row(a, width),
        b: row(b, width),
        u: row(u, width),
        decay: row(decay, decayFloats),
        v: row(v, columns),
        out: row(out, columns),
        count: Math.max(0, Math.min(share, count - first)),
      };
      recurrenceFields.forEach((name, place) => {
        integers[records / 4 + (task * recordBytes) / 4 + place] = record[name] ?? 0;
      });
    }
  }

  #writeToken({ q, k, v, a, b, u, logDecay }: TokenInputs): void {
    const { width, valueWidth } = this.#sizes;
    const { width: paddedWidth, columns } = this.#extents;
    this.#writeRows("q", q, width, paddedWidth);
    this.#writeRows("k", k, width, paddedWidth);
    this.#writeRows("v", v, valueWidth, columns);
    if (a !== undefined) this.#writeRows("a", a, width, paddedWidth);
    if (b !== undefined) this.#writeRows("b", b, width, paddedWidth);
    if (u !== undefined) this.#writeRows("u", u, width, paddedWidth, true);
    if (logDecay === undefined) return;
    const isShared = logDecay.shape.length <= 2;
    if (this.#core.decay === "head") this.#writeRows("decay", logDecay, 1, 1, isShared);
    else this.#writeRows("decay", logDecay, width, paddedWidth, isShared);
  }

  /** Rows of a token for every query head; `isShared` by all batch entries, else by some heads of each. */
  #writeRows(name: StepRow, { data, shape }: Tensor, width: number, padded: number, isShared = false): void {
    const { batch, heads } = this.#sizes;
    const { floats } = this.#engine.arena;
    let to = this.#places[name] / 4;
    for (let entry = 0; entry < batch; entry++) {
      for (let head = 0; head < heads; head++) {
        const from = (isShared ? head : entry * shape[1] + sharedHead(head, heads, shape[1])) * width;
        for (let d = 0; d < width; d++) floats[to + d] = data[from + d];
        to += padded;
      }
    }
  }

  #readOut(): Float32Array {
    const { batch, heads, valueWidth } = this.#sizes;
    const { columns } = this.#extents;
    const { floats } = this.#engine.arena;
    const data = new Float32Array(batch * heads * valueWidth);
    for (let number = 0; number < batch * heads; number++) {
      const from = this.#places.out / 4 + number * columns;
      for (let e = 0; e < valueWidth; e++) data[number * valueWidth + e] = floats[from + e];
    }
    return data;
  }

  #requireAlive(act: string): void {
    if (!this.#isDisposed) return;
    throw new UnsupportedError(
      "cache-disposed",
      `Cannot ${act} as the state must hold memory: it was disposed. Make a new one with wasmRecurrence`,
    );
  }
}

/**
 * Makes an empty recurrent state in an engine's memory. It stays there between calls until `dispose()`; several may share
 * an engine.
 *
 * @param engine - where the state lies and steps run
 * @param core - the terms of the update
 * @throws DomainError `recurrence-sizes`, UnsupportedError `memory`
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { openEngine, wasmRecurrence } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const core = { decay: "head", correction: false, read: "after", normalised: false, epsilon: 0 } as const;
 * const state = wasmRecurrence(engine, core, { heads: 1, width: 2 });
 * const token = tensor([1, 0], [1, 1, 1, 2]);
 * const logDecay = tensor([Math.log(0.5)], [1]);
 * state.step({ q: token, k: token, v: token, logDecay }).data; // [1, 0]
 * state.step({ q: token, k: token, v: token, logDecay }).data; // [1.5, 0]
 * state.dispose();
 * engine.close();
 * ```
 */
export function wasmRecurrence(engine: WasmEngine, core: Core, sizes: RecurrentStateSizes): RecurrentState {
  return new RecurrentState(engine, core, sizes);
}
