/** @file What a selection computes from the vectors of a head, on an engine: bit for bit what its definition says. */
import { type ChoiceArithmetic } from "../../../selections/index.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import {
  choiceFields,
  choiceModule,
  choiceRows,
  choiceScratchBytes,
  type ChoiceSpec,
} from "./choice-kernel.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { runTasks } from "../engine/task-records.ts";

/** Rows of a task. */
const taskRows = 8 * choiceRows;

/** The arithmetic of choices on an engine. */
export function choiceOnEngine(engine: WasmEngine): ChoiceArithmetic {
  return {
    products: (rows, vectors, width) =>
      inMemory(engine, rows, width, (call) => {
        const count = vectors.length / width;
        const columns = columnsOf(count);
        const to = call.takeFloats(roundUp(call.rows, 4) * columns);
        call.run("products", [{ vectors, to }], 4 * columns);
        if (count === columns) return call.floats(to, call.rows * count);
        const found = new Float32Array(call.rows * count);
        for (let row = 0; row < call.rows; row++) {
          found.set(call.floats(to + 4 * row * columns, count), row * count);
        }
        return found;
      }),
    nearest: (rows, sets, width) =>
      inMemory(engine, rows, width, (call) => {
        const placed = sets.map((vectors) => ({ vectors, to: call.takeFloats(call.rows) }));
        call.run("nearest", placed, 4);
        return placed.map(({ to }) => call.integers(to, call.rows));
      }),
    largest: (rows, vectors, width, counts, choices) =>
      inMemory(engine, rows, width, (call) => {
        const to = call.takeFloats(choices * call.rows);
        call.run("largest", [{ vectors, to }], 4, { counts, choices });
        return Array.from({ length: choices }, (_, choice) =>
          call.integers(to + 4 * choice * call.rows, call.rows),
        );
      }),
  };
}

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

  /** Integers of a place, copied. */
  integers(address: number, count: number): Int32Array {
    return new Int32Array(this.#engine.arena.integers.subarray(address / 4, address / 4 + count));
  }

  /**
   * Runs a task for all rows and every set of vectors, all of one number; results of so many bytes a row follow each other.
   *
   * @param choose - how many vectors every row chooses, and among how many
   */
  run(
    task: "products" | "nearest" | "largest",
    sets: readonly { readonly vectors: Float32Array; readonly to: number }[],
    bytes: number,
    choose?: { readonly counts: Int32Array; readonly choices: number },
  ): void {
    const engine = this.#engine;
    const { mark } = engine.arena;
    const width = this.#width;
    const count = sets[0].vectors.length / width;
    const spec = { width, vectors: columnsOf(count), shared: engine.shared };
    const counts = this.takeFloats(this.rows);
    if (choose !== undefined) engine.arena.integers.set(choose.counts, counts / 4);
    const scratchBytes = roundUp(choiceScratchBytes(spec), 64);
    const records = sets.flatMap(({ vectors, to }) => {
      const panels = packed(vectors, width);
      const address = this.takeFloats(panels.length);
      this.floats(address, panels.length).set(panels);
      return Array.from({ length: Math.ceil(this.rows / taskRows) }, (_, task) => {
        const first = task * taskRows;
        return {
          rows: Math.min(taskRows, this.rows - first),
          from: this.#from + 4 * first * width,
          vectors: address,
          to: to + first * bytes,
          count,
          counts: counts + 4 * first,
          choices: choose?.choices ?? 0,
          stride: 4 * this.rows,
        };
      });
    });
    const scratch = engine.arena.take(scratchBytes * engine.threads);
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
