/**
 * @file One call of a recurrence: where its rows, states and gradients lie in the engine's memory, and the phases that run
 * over them. Tokens are padded to whole chunks with rows that neither decay nor write.
 */
import { sharedHead } from "../../../recurrence/core.ts";
import { type Core, type CoreInputs, type CoreSizes } from "../../../recurrence/index.ts";
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { type Task } from "../engine/tasks.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { runTasks } from "../engine/task-records.ts";
import { padRows } from "../attention/value-rows.ts";
import { recurrenceModule } from "./recurrence-kernel.ts";
import {
  type ChannelSpec,
  chunkTokens,
  type Extents,
  extentsOf,
  type RecurrenceField,
  recurrenceFields,
  recurrenceScratch,
  type RecurrenceSpec,
  specText,
} from "./spec.ts";

export type RecurrenceRecord = Partial<Record<Exclude<RecurrenceField, "task">, number>>;

/** Rows of some heads one after the other. */
export interface HeadRows {
  readonly address: number;
  /** Floats of one row. */
  readonly rowFloats: number;
  /** Floats of a head. */
  readonly headFloats: number;
  /** Which of the heads a query head reads. */
  readonly placeOf: (batch: number, head: number) => number;
}

/** One query head of one batch entry. */
export interface QueryHead {
  readonly number: number;
  readonly batch: number;
  readonly head: number;
}

/** Addresses of a call. */
export class RecurrenceCall {
  readonly #engine: WasmEngine;
  readonly #code: KernelCode;
  readonly #scratch: number;
  readonly #scratchBytes: number;
  readonly core: Core;
  readonly sizes: CoreSizes;
  readonly extents: Extents;
  /** Chunks of a head, and its tokens with those that fill the last. */
  readonly chunks: number;
  readonly paddedTokens: number;
  readonly heads: readonly QueryHead[];
  readonly rows: Readonly<Partial<Record<"q" | "k" | "v" | "a" | "b" | "decay" | "u", HeadRows>>>;
  /** Products of decays over chunks, for every head of decays. */
  readonly total: HeadRows | undefined;

  constructor(engine: WasmEngine, core: Core, inputs: CoreInputs<Tensor>, sizes: CoreSizes) {
    const { batch, heads, tokens, width, valueWidth } = sizes;
    const { relaxed, shared } = engine;
    const spec: RecurrenceSpec = { core, width, valueWidth, relaxed, shared };
    this.#engine = engine;
    this.#code = recurrenceCode(engine, spec);
    this.core = core;
    this.sizes = sizes;
    this.extents = extentsOf(spec);
    this.chunks = Math.ceil(tokens / chunkTokens);
    this.paddedTokens = this.chunks * chunkTokens;
    this.heads = Array.from({ length: batch * heads }, (_, number) => ({
      number,
      batch: Math.floor(number / heads),
      head: number % heads,
    }));
    this.#scratchBytes = recurrenceScratch(spec).bytes;
    this.#scratch = engine.arena.take(this.#scratchBytes * engine.threads);
    const { width: paddedWidth, columns } = this.extents;
    const { q, k, v, a, b, u, logDecay } = inputs;
    this.rows = {
      q: this.copyRows(q, paddedWidth),
      k: this.copyRows(k, paddedWidth),
      v: this.copyRows(v, columns, core.normalised),
      ...(a === undefined ? {} : { a: this.copyRows(a, paddedWidth) }),
      ...(b === undefined ? {} : { b: this.copyRows(b, paddedWidth) }),
      ...(u === undefined ? {} : { u: this.#copyBonus(u) }),
      ...(logDecay === undefined ? {} : { decay: this.#copyDecay(logDecay) }),
    };
    this.total = this.rows.decay && { ...this.rows.decay, ...this.#takeTotal(logDecay!) };
  }

  takeFloats(count: number): number {
    return this.#engine.arena.take(4 * count);
  }

  /** Floats of a place as a view, valid until memory is taken again. */
  view(address: number, count: number): Float32Array {
    return this.#engine.arena.floats.subarray(address / 4, address / 4 + count);
  }

  /** Rows [N, rowFloats] of every query head, to be written. */
  takeRows(rowFloats: number): HeadRows {
    const { heads } = this.sizes;
    const headFloats = this.paddedTokens * rowFloats;
    return {
      address: this.takeFloats(this.heads.length * headFloats),
      rowFloats,
      headFloats,
      placeOf: (batch, head) => batch * heads + head,
    };
  }

  /** States of every query head at the start of every chunk, and behind the last. */
  takeStates(): HeadRows {
    const { heads } = this.sizes;
    const { state } = this.extents;
    const headFloats = (this.chunks + 1) * state;
    return {
      address: this.takeFloats(this.heads.length * headFloats),
      rowFloats: state / chunkTokens,
      headFloats,
      placeOf: (batch, head) => batch * heads + head,
    };
  }

  /** Copies a tensor of rows into padded ones, with a column of ones behind its own where asked for. */
  copyRows({ data, shape }: Tensor, rowFloats: number, hasOnes = false): HeadRows {
    const [batch, count, tokens, width] = shape;
    const headFloats = this.paddedTokens * rowFloats;
    const address = this.takeFloats(batch * count * headFloats);
    for (let head = 0; head < batch * count; head++) {
      const target = this.view(address + 4 * head * headFloats, headFloats);
      padRows(data.subarray(head * tokens * width, (head + 1) * tokens * width), target, width, rowFloats);
      if (hasOnes) for (let row = 0; row < tokens; row++) target[row * rowFloats + width] = 1;
    }
    return { address, rowFloats, headFloats, placeOf: this.#sharedBy(count) };
  }

  #sharedBy(count: number): HeadRows["placeOf"] {
    const { heads } = this.sizes;
    return (batch, head) => batch * count + sharedHead(head, heads, count);
  }

  #copyBonus({ data, shape }: Tensor): HeadRows {
    const [heads, width] = shape;
    const { width: headFloats } = this.extents;
    const address = this.takeFloats(heads * headFloats);
    padRows(data, this.view(address, heads * headFloats), width, headFloats);
    return { address, rowFloats: headFloats, headFloats, placeOf: (_, head) => head };
  }

  /** Logs of decays as [N] or [N, D'] of every head that has its own; what all tokens share is written out. */
  #copyDecay(logDecay: Tensor): HeadRows {
    const { data, shape } = logDecay;
    const { tokens, width, heads } = this.sizes;
    const ofHead = this.core.decay === "head";
    const rowFloats = ofHead ? 1 : this.extents.width;
    if (shape.length > 2) {
      return this.copyRows({ data, shape: ofHead ? [...shape, 1] : shape }, rowFloats);
    }
    const headFloats = this.paddedTokens * rowFloats;
    const address = this.takeFloats(heads * headFloats);
    const own = ofHead ? 1 : width;
    for (let head = 0; head < heads; head++) {
      const target = this.view(address + 4 * head * headFloats, headFloats).fill(0);
      const row = data.subarray(head * own, (head + 1) * own);
      if (ofHead) target.fill(row[0], 0, tokens);
      else for (let token = 0; token < tokens; token++) target.set(row, token * rowFloats);
    }
    return { address, rowFloats, headFloats, placeOf: (_, head) => head };
  }

  #takeTotal({ shape }: Tensor): Pick<HeadRows, "address" | "rowFloats" | "headFloats"> {
    const count = shape.length > 2 ? shape[0] * shape[1] : shape[0];
    const headFloats = this.chunks * this.extents.width;
    const address = this.takeFloats(count * headFloats);
    return { address, rowFloats: this.extents.width / chunkTokens, headFloats };
  }

  /** The address of what a query head has in a chunk. */
  at(
    { address, rowFloats, headFloats, placeOf }: HeadRows,
    { batch, head }: QueryHead,
    chunk: number,
  ): number {
    return address + 4 * (placeOf(batch, head) * headFloats + chunk * chunkTokens * rowFloats);
  }

  /** Fields of the rows of a head from a chunk on. */
  fields(
    head: QueryHead,
    chunk: number,
    more: Readonly<Record<string, HeadRows | undefined>>,
  ): RecurrenceRecord {
    return this.#fieldsOf(head, more)(chunk);
  }

  /** The fields of a head by chunk; calls of long sequences have thousands of records. */
  #fieldsOf(
    head: QueryHead,
    more: Readonly<Record<string, HeadRows | undefined>>,
  ): (chunk: number) => RecurrenceRecord {
    const { u, ...rows } = this.rows;
    const places = Object.entries({ ...rows, total: this.total, ...more }).flatMap(([name, place]) =>
      place === undefined
        ? []
        : [{ name, first: this.at(place, head, 0), step: 4 * chunkTokens * place.rowFloats }],
    );
    const bonus = u === undefined ? 0 : this.at(u, head, 0);
    return (chunk) => {
      const record: Record<string, number> = { u: bonus };
      for (const { name, first, step } of places) record[name] = first + chunk * step;
      record["rows"] = Math.min(chunkTokens, this.sizes.tokens - chunk * chunkTokens);
      return record;
    };
  }

  /** One record for every chunk of every head. */
  chunkRecords(
    more: Readonly<Record<string, HeadRows | undefined>>,
    change?: (head: QueryHead, chunk: number) => RecurrenceRecord,
  ): RecurrenceRecord[] {
    return this.heads.flatMap((head) => {
      const fields = this.#fieldsOf(head, more);
      return Array.from({ length: this.chunks }, (_, chunk) =>
        change === undefined ? fields(chunk) : Object.assign(fields(chunk), change(head, chunk)),
      );
    });
  }

  /** Places where the chunks of all heads note whether their numbers are as they should be: zeros where so. */
  takeNotes(): number {
    const address = this.takeFloats(this.#noteFloats);
    this.view(address, this.#noteFloats).fill(0);
    return address;
  }

  /** Whether all notes are zeros. */
  areFine(notes: number): boolean {
    return this.view(notes, this.#noteFloats).every((note) => note === 0);
  }

  get #noteFloats(): number {
    return 4 * this.heads.length * this.chunks;
  }

  /** Where a chunk notes. */
  noteOf(notes: number, { number }: QueryHead, chunk: number): { readonly to: number } {
    return { to: notes + 16 * (number * this.chunks + chunk) };
  }

  /** Turns logs of decays into decays, once for every head that has its own, and notes those that are none. */
  runDecays(notes: number): void {
    const { decay } = this.rows;
    if (decay === undefined) return;
    const seen = new Map(this.heads.map((head) => [decay.placeOf(head.batch, head.head), head]));
    this.run(
      "decays",
      [...seen.values()].flatMap((head) =>
        Array.from({ length: this.chunks }, (_, chunk) => ({
          decay: this.at(decay, head, chunk),
          total: this.at(this.total!, head, chunk),
          ...this.noteOf(notes, head, chunk),
        })),
      ),
    );
  }

  /** Scans the chunks of all heads, from `from` in a direction; columns are split so that every thread has work. */
  runScan(
    direction: 1 | -1,
    states: HeadRows,
    more: Readonly<Record<"reader" | "writer" | "corrections", HeadRows | undefined>>,
  ): void {
    const { columns } = this.extents;
    const wanted = Math.ceil((2 * this.#engine.threads) / this.heads.length);
    const some = roundUp(Math.ceil(columns / wanted), 8);
    const first = direction === 1 ? 0 : this.chunks - 1;
    const records = this.heads.flatMap((head) => {
      const fields = this.fields(head, first, more);
      const state = this.at(states, head, direction === 1 ? 0 : this.chunks);
      return Array.from({ length: Math.ceil(columns / some) }, (_, part) => ({
        ...fields,
        state: state + 4 * part * some,
        corrections: (fields.corrections ?? 0) + 4 * part * some,
        columns: Math.min(some, columns - part * some),
        count: this.chunks,
        direction,
      }));
    });
    this.run("scan", records);
  }

  run(task: Task, records: readonly RecurrenceRecord[]): void {
    runTasks(this.#engine, task, recurrenceFields, records, {
      kernel: this.#code,
      scratch: this.#scratch,
      scratchBytes: this.#scratchBytes,
    });
  }

  /** Writes states [B, H, D, stateWidth] to the given chunk's places; zeros without them. */
  writeStates(states: HeadRows, chunk: number, given: Tensor | undefined): void {
    const { width, stateWidth } = this.sizes;
    const { state, columns } = this.extents;
    const size = width * stateWidth;
    for (const head of this.heads) {
      const target = this.view(this.at(states, head, chunk), state);
      const source = given?.data.subarray(head.number * size, (head.number + 1) * size);
      padRows(source ?? new Float32Array(0), target, stateWidth, columns);
    }
  }

  /** States [B, H, D, stateWidth] of a chunk. */
  readStates(states: HeadRows, chunk: number): Tensor {
    const { batch, heads, width, stateWidth } = this.sizes;
    const { state, columns } = this.extents;
    const data = new Float32Array(batch * heads * width * stateWidth);
    for (const head of this.heads) {
      const source = this.view(this.at(states, head, chunk), state);
      unpadRows(source, columns, data, head.number * width, width, stateWidth);
    }
    return { data, shape: [batch, heads, width, stateWidth] };
  }

  /** A tensor of rows [B, heads, N, width], of the first query head of each of its heads. */
  readRows({ address, rowFloats, headFloats }: HeadRows, shape: readonly number[]): Tensor {
    const [batch, count, tokens, width = 1] = shape;
    const group = this.sizes.heads / count;
    // One head without padding is copied as it is, into memory that need not be cleared first.
    if (batch * count === 1 && rowFloats === width) {
      return { data: this.view(address, tokens * width).slice(), shape };
    }
    const data = new Float32Array(sizeOf(shape));
    for (let head = 0; head < batch * count; head++) {
      const source = this.view(address + 4 * head * group * headFloats, headFloats);
      unpadRows(source, rowFloats, data, head * tokens, tokens, width);
    }
    return { data, shape };
  }
}

/** Copies `count` rows of `width` out of rows of `padded`, to row `first` on. */
export function unpadRows(
  source: Float32Array,
  padded: number,
  target: Float32Array,
  first: number,
  count: number,
  width: number,
): void {
  if (padded === width) {
    target.set(source.subarray(0, count * width), first * width);
    return;
  }
  for (let row = 0; row < count; row++) {
    target.set(source.subarray(row * padded, row * padded + width), (first + row) * width);
  }
}

const codes = new WeakMap<WasmEngine, Map<string, KernelCode>>();

/** Code by what it is for, so that a call need not emit it again. */
export function recurrenceCode(engine: WasmEngine, spec: RecurrenceSpec | ChannelSpec): KernelCode {
  const ofEngine = codes.get(engine) ?? new Map<string, KernelCode>();
  codes.set(engine, ofEngine);
  const key = specText(spec);
  const found = ofEngine.get(key) ?? engine.compile(recurrenceModule(spec));
  ofEngine.set(key, found);
  return found;
}
