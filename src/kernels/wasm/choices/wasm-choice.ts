/** @file What a selection computes from the vectors of a head, on an engine: bit for bit what its definition says. */
import { type ChoiceArithmetic } from "../../../selections/index.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import {
  choiceFields,
  choiceModule,
  choiceRows,
  choiceScratchBytes,
  type ChoiceSpec,
  extremesBytes,
} from "./choice-kernel.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { runTasks } from "../engine/task-records.ts";

/** The arithmetic of choices on an engine. */
export function choiceOnEngine(engine: WasmEngine): ChoiceArithmetic {
  return {
    products: (rows, vectors, width) =>
      inMemory(engine, rows, width, (call) => {
        const count = vectors.length / width;
        const columns = columnsOf(count);
        const to = call.takeFloats(roundUp(call.rows, 4) * columns);
        call.run("products", vectors, to, 4 * columns);
        if (count === columns) return call.floats(to, call.rows * count);
        const found = new Float32Array(call.rows * count);
        for (let row = 0; row < call.rows; row++) {
          found.set(call.floats(to + 4 * row * columns, count), row * count);
        }
        return found;
      }),
    nearest: (rows, sets, width) =>
      inMemory(engine, rows, width, (call) => {
        const to = call.takeFloats((call.rows * extremesBytes) / 4);
        return sets.map((vectors) => {
          call.run("nearest", vectors, to, extremesBytes);
          const extremes = call.floats(to, (call.rows * extremesBytes) / 4);
          return nearestOf(
            extremes,
            new Int32Array(extremes.buffer, to, extremes.length),
            vectors.length / width,
          );
        });
      }),
  };
}

const numbersOfRow = extremesBytes / 4;

/** The bucket of every row from the extremes of its four lanes. */
function nearestOf(extremes: Float32Array, places: Int32Array, count: number): Int32Array {
  const nearest = new Int32Array(extremes.length / numbersOfRow);
  for (let row = 0; row < nearest.length; row++) {
    const first = row * numbersOfRow;
    let high = first;
    let low = first + 8;
    for (let lane = 1; lane < 4; lane++) {
      if (isBefore(extremes[high], places[high + 4], extremes[first + lane], places[first + lane + 4])) {
        high = first + lane;
      }
      if (isBefore(-extremes[low], places[low + 4], -extremes[first + lane + 8], places[first + lane + 12])) {
        low = first + lane + 8;
      }
    }
    // Vectors of zeros that fill the last panels are never the larger of the two.
    nearest[row] = extremes[high] >= -extremes[low] ? places[high + 4] : count + places[low + 4];
  }
  return nearest;
}

/** Whether the second number is larger, or as large at a lower place. */
const isBefore = (a: number, placeOfA: number, b: number, placeOfB: number): boolean =>
  b > a || (b === a && placeOfB < placeOfA);

/** Rows in the memory of an engine, and their products with vectors. */
class RowsInMemory {
  readonly #engine: WasmEngine;
  readonly #width: number;
  readonly #from: number;
  readonly rows: number;

  constructor(engine: WasmEngine, rows: Float32Array, width: number) {
    this.#engine = engine;
    this.#width = width;
    this.rows = rows.length / width;
    this.#from = this.takeFloats(roundUp(this.rows, 4) * width);
    this.floats(this.#from, rows.length).set(rows);
  }

  takeFloats(count: number): number {
    return this.#engine.arena.take(4 * count);
  }

  floats(address: number, count: number): Float32Array {
    return this.#engine.arena.floats.subarray(address / 4, address / 4 + count);
  }

  /** Runs a task for all rows, whose results of so many bytes a row follow each other from `to`. */
  run(task: "products" | "nearest", vectors: Float32Array, to: number, bytes: number): void {
    const engine = this.#engine;
    const { mark } = engine.arena;
    const width = this.#width;
    const spec = { width, vectors: columnsOf(vectors.length / width), shared: engine.shared };
    const panels = packed(vectors, width);
    const address = this.takeFloats(panels.length);
    this.floats(address, panels.length).set(panels);
    const scratchBytes = roundUp(choiceScratchBytes(spec), 64);
    const scratch = engine.arena.take(scratchBytes * engine.threads);
    const records = Array.from({ length: Math.ceil(this.rows / choiceRows) }, (_, block) => ({
      rows: Math.min(choiceRows, this.rows - block * choiceRows),
      from: this.#from + 4 * block * choiceRows * width,
      vectors: address,
      to: to + block * choiceRows * bytes,
    }));
    runTasks(engine, task, choiceFields, records, { kernel: codeOf(engine, spec), scratch, scratchBytes });
    engine.arena.giveBack(mark);
  }
}

function inMemory<T>(
  engine: WasmEngine,
  rows: Float32Array,
  width: number,
  use: (call: RowsInMemory) => T,
): T {
  const { mark } = engine.arena;
  try {
    return use(new RowsInMemory(engine, rows, width));
  } finally {
    engine.arena.giveBack(mark);
  }
}

/** Panels of eight for so many vectors, doubled until they fit: sequences that grow need few modules. */
function columnsOf(vectors: number): number {
  let columns = 8;
  while (columns < vectors) columns *= 2;
  return columns;
}

/** Vectors in panels of eight, zeros behind the last. */
function packed(vectors: Float32Array, width: number): Float32Array {
  const count = vectors.length / width;
  const panels = new Float32Array(columnsOf(count) * width);
  for (let vector = 0; vector < count; vector++) {
    const start = (vector - (vector % 8)) * width + (vector % 8);
    for (let d = 0; d < width; d++) panels[start + 8 * d] = vectors[vector * width + d];
  }
  return panels;
}

const codes = new WeakMap<WasmEngine, Map<string, KernelCode>>();

/** Code by what it depends on, so that a call need not emit it again. */
function codeOf(engine: WasmEngine, spec: ChoiceSpec): KernelCode {
  const ofEngine = codes.get(engine) ?? new Map<string, KernelCode>();
  codes.set(engine, ofEngine);
  const key = `${spec.width} ${spec.vectors}`;
  const found = ofEngine.get(key) ?? engine.compile(choiceModule(spec));
  ofEngine.set(key, found);
  return found;
}
