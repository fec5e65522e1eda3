/** @file One call of experts: rows sorted by expert, and where they, the tokens and the weights lie in an engine's memory. */
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { type ExpertPlaces, sortByExpert, type SortedRows } from "../../javascript/expert-routing.ts";
import { type Task } from "../engine/tasks.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { expertModule, expertScratchBytes } from "./expert-kernel.ts";
import { type ExpertField, expertFields } from "./expert-rows.ts";
import { type FeedForwardKind } from "../dense/feed-forward-kernel.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { runTasks } from "../engine/task-records.ts";
import { padRows } from "../attention/value-rows.ts";

/** The inputs of experts; `gate` is what makes them SwiGLU. */
export interface ExpertInputs<T = Tensor> {
  /** [M, width] */
  readonly x: T;
  /** The weights of every token's experts, [M, k] */
  readonly gates: T;
  /** [E, hidden, width] */
  readonly gate?: T;
  /** [E, hidden, width] */
  readonly up: T;
  /** [E, width, hidden] */
  readonly down: T;
}

/** Tokens of a task that joins them. */
const joinedRows = 256;

/** Fields of a record, all but its task. */
export type ExpertRecord = Partial<Record<Exclude<ExpertField, "task">, number>>;

/** One call: where its rows and weights lie. Widths are rounded up to multiples of 8, the rows of an expert too. */
export class ExpertCall {
  readonly #engine: WasmEngine;
  readonly #code: KernelCode;
  readonly #scratch: number;
  readonly #scratchBytes: number;
  readonly #choices: number;
  readonly #tokenCount: number;
  readonly #places: number;
  readonly #weights = new Map<number, ExpertRecord>();
  readonly experts: number;
  readonly width: number;
  readonly hidden: number;
  readonly sorted: SortedRows;
  /** Experts that take tokens. */
  readonly busyExperts: readonly number[];
  /** Rows of tokens, and one of zeros. */
  readonly input: number;
  /** The token of every sorted row, and its weight. */
  readonly tokens: number;
  readonly sortedGates: number;
  /** The weights of every token's choices; 0 where one was dropped. */
  readonly gates: number;

  constructor(engine: WasmEngine, inputs: ExpertInputs, places: ExpertPlaces) {
    const { x, gates, up } = inputs;
    const [tokens, ownWidth] = x.shape;
    const [experts, ownHidden] = up.shape;
    const kind: FeedForwardKind = inputs.gate === undefined ? "gelu" : "swiglu";
    const { relaxed, shared } = engine;
    this.#engine = engine;
    this.#code = codeOf(engine, `${kind} ${ownWidth} ${ownHidden}`, () =>
      engine.compile(expertModule({ kind, width: ownWidth, hidden: ownHidden, relaxed, shared })),
    );
    this.#choices = places.choices;
    this.#tokenCount = tokens;
    this.experts = experts;
    this.width = roundUp(ownWidth, 8);
    this.hidden = roundUp(ownHidden, 8);
    this.sorted = sortByExpert(places, 8);
    this.busyExperts = [...this.sorted.taken.keys()].filter((expert) => this.sorted.taken[expert] > 0);
    this.input = this.copyTokens(x);
    this.tokens = this.takeFloats(this.sorted.count);
    this.sortedGates = this.takeFloats(this.sorted.count);
    this.gates = this.takeFloats(tokens * places.choices);
    this.#places = this.takeFloats(tokens * places.choices);
    this.#sortChoices(gates.data);
    for (const expert of this.busyExperts) this.#weights.set(expert, this.#copyWeights(inputs, expert));
    this.#scratchBytes = roundUp(expertScratchBytes({ width: ownWidth, hidden: ownHidden }), 64);
    this.#scratch = engine.arena.take(this.#scratchBytes * engine.threads);
  }

  /** Tokens and weights of sorted rows; rows that fill up read the token of zeros, dropped choices the row of zeros. */
  #sortChoices(gates: Float32Array): void {
    const { floats, integers } = this.#engine.arena;
    const { count, rows } = this.sorted;
    integers.fill(this.#tokenCount, this.tokens / 4, this.tokens / 4 + count);
    floats.fill(0, this.sortedGates / 4, this.sortedGates / 4 + count);
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at];
      const isTaken = row >= 0;
      floats[this.gates / 4 + at] = isTaken ? gates[at] : 0;
      integers[this.#places / 4 + at] = isTaken ? row : count;
      if (!isTaken) continue;
      integers[this.tokens / 4 + row] = Math.floor(at / this.#choices);
      floats[this.sortedGates / 4 + row] = gates[at];
    }
  }

  #copyWeights({ gate, up, down }: ExpertInputs, expert: number): ExpertRecord {
    const copy = ({ data, shape: [, rows, columns] }: Tensor, paddedRows: number, padded: number): number => {
      const address = this.takeFloats(paddedRows * padded);
      const own = data.subarray(expert * rows * columns, (expert + 1) * rows * columns);
      padRows(own, this.view(address, paddedRows * padded), columns, padded);
      return address;
    };
    return {
      up: copy(up, this.hidden, this.width),
      down: copy(down, this.width, this.hidden),
      ...(gate === undefined ? {} : { gate: copy(gate, this.hidden, this.width) }),
    };
  }

  /** The fields of an expert's weights. */
  weightsOf(expert: number): ExpertRecord {
    return this.#weights.get(expert)!;
  }

  takeFloats(count: number): number {
    return this.#engine.arena.take(4 * count);
  }

  /** Floats of a place as a view, valid until memory is taken again. */
  view(address: number, count: number): Float32Array {
    return this.#engine.arena.floats.subarray(address / 4, address / 4 + count);
  }

  row(address: number, row: number): number {
    return address + 4 * row * this.width;
  }

  /** Rows of tokens [M, width], and one of zeros. */
  copyTokens({ data, shape: [, width] }: Tensor): number {
    const count = (this.#tokenCount + 1) * this.width;
    const address = this.takeFloats(count);
    padRows(data, this.view(address, count), width, this.width);
    return address;
  }

  /** A place for sorted rows, and one of zeros behind them. */
  takeSorted(): number {
    const { count } = this.sorted;
    const address = this.takeFloats((count + 1) * this.width);
    this.view(this.row(address, count), this.width).fill(0);
    return address;
  }

  /** Sorted rows in blocks of about `size`, those of one expert alike. */
  blocks(size: number): { readonly expert: number; readonly first: number; readonly rows: number }[] {
    const { starts, taken } = this.sorted;
    return this.busyExperts.flatMap((expert) => {
      const padded = roundUp(taken[expert], 8);
      const rows = roundUp(Math.ceil(padded / Math.max(1, Math.round(padded / size))), 8);
      return Array.from({ length: Math.ceil(padded / rows) }, (_, block) => ({
        expert,
        first: starts[expert] + block * rows,
        rows: Math.min(rows, padded - block * rows),
      }));
    });
  }

  /** Weights of 1, for gradients whose weights they have already. */
  ones(): number {
    const count = this.#tokenCount * this.#choices;
    const address = this.takeFloats(count);
    this.view(address, count).fill(1);
    return address;
  }

  /** Tokens from the sorted rows of their choices. */
  join(from: number, gates: number): number {
    const to = this.takeFloats(this.#tokenCount * this.width);
    this.runOnTokens("joinExperts", (first) => ({
      from,
      to: this.row(to, first),
      gates: gates + 4 * first * this.#choices,
    }));
    return to;
  }

  /** Runs a task on all tokens. */
  runOnTokens(task: Task, recordOf: (first: number) => ExpertRecord): void {
    const records: ExpertRecord[] = [];
    for (let first = 0; first < this.#tokenCount; first += joinedRows) {
      records.push({
        ...recordOf(first),
        rows: Math.min(joinedRows, this.#tokenCount - first),
        places: this.#places + 4 * first * this.#choices,
        count: this.#choices,
      });
    }
    this.run(task, records);
  }

  run(task: Task, records: readonly ExpertRecord[]): void {
    runTasks(this.#engine, task, expertFields, records, {
      kernel: this.#code,
      scratch: this.#scratch,
      scratchBytes: this.#scratchBytes,
    });
  }

  /** Rows as they were before they were padded. */
  readRows(address: number, shape: readonly number[]): Tensor {
    const [rows, width] = shape;
    if (width === this.width) return { data: new Float32Array(this.view(address, rows * width)), shape };
    const data = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) data.set(this.view(this.row(address, row), width), row * width);
    return { data, shape };
  }

  /** The weights of all experts as they were before they were padded; zeros for experts without tokens. */
  readWeights(address: number, shape: readonly number[]): Tensor {
    const [, rows, columns] = shape;
    const [size, padded] = [this.width * this.hidden, roundUp(columns, 8)];
    const data = new Float32Array(sizeOf(shape));
    for (const expert of this.busyExperts) {
      const from = address + 4 * expert * size;
      const to = expert * rows * columns;
      if (padded === columns) {
        data.set(this.view(from, rows * columns), to);
        continue;
      }
      for (let row = 0; row < rows; row++) {
        data.set(this.view(from + 4 * row * padded, columns), to + row * columns);
      }
    }
    return { data, shape };
  }
}

const codes = new WeakMap<WasmEngine, Map<string, KernelCode>>();

/** Code by what it is for, so that a call need not emit it again. */
function codeOf(engine: WasmEngine, key: string, make: () => KernelCode): KernelCode {
  const ofEngine = codes.get(engine) ?? new Map<string, KernelCode>();
  codes.set(engine, ofEngine);
  const found = ofEngine.get(key) ?? make();
  ofEngine.set(key, found);
  return found;
}
