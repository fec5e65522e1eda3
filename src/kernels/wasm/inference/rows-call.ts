/**
 * @file One call of inference on an engine: rows of numbers go in, through norms and linear maps whose weights lie there, and come
 * out. Rows stay in the engine's memory between the steps of a call.
 */
import { ShapeError } from "../../../base/errors.ts";
import { defineFunction, i32, type Local, type WasmModule } from "../assembler/assembler.ts";
import { mostPages } from "../engine/tasks.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { padRows } from "../attention/value-rows.ts";
import { codeOf } from "../dense/dense-call.ts";
import { normaliseFunction, type NormSpec } from "../dense/norm-code.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { runTasks, runWritten } from "../engine/task-records.ts";
import { type KeptLinear, type KeptNorm } from "./kept-weights.ts";
import { blockRows, type LinearFinish, tileRows } from "./linear-kernel.ts";
import {
  linearPhase,
  productsWorthWaking,
  requireWidth,
  type Rows,
  type RowsProduct,
  runsOf,
} from "./linear-phase.ts";

export { type Rows } from "./linear-phase.ts";

/**
 * Runs one call; what it took of the memory is given back.
 *
 * @param rows - how many rows the call has
 */
export function inRowsCall<T>(engine: WasmEngine, rows: number, run: (call: RowsCall) => T): T {
  const { arena } = engine;
  const { mark } = arena;
  try {
    return run(new RowsCall(engine, rows));
  } finally {
    arena.giveBack(mark);
  }
}

export class RowsCall {
  readonly rows: number;
  readonly #engine: WasmEngine;
  readonly #padded: number;

  constructor(engine: WasmEngine, rows: number) {
    this.#engine = engine;
    this.rows = rows;
    this.#padded = rows < tileRows ? rows : roundUp(rows, tileRows);
  }

  /** Rows [rows, width] into the memory. */
  put(data: Float32Array, width: number): Rows {
    const rows = this.#take(width);
    const { floats } = this.#engine.arena;
    const padded = roundUp(width, 8);
    const target = floats.subarray(rows.address / 4, rows.address / 4 + this.#padded * padded);
    padRows(data, target, width, padded);
    target.fill(0, this.rows * padded);
    return rows;
  }

  /** Rows [rows, width] out of the memory; `from` on when only the last of them are wanted. */
  read({ address, width }: Rows, from = 0): Float32Array {
    const padded = roundUp(width, 8);
    const { floats } = this.#engine.arena;
    const start = address / 4;
    if (padded === width) return floats.slice(start + from * width, start + this.rows * width);
    const data = new Float32Array((this.rows - from) * width);
    for (let row = from; row < this.rows; row++) {
      const at = start + row * padded;
      data.set(floats.subarray(at, at + width), (row - from) * width);
    }
    return data;
  }

  /** n = norm(x). */
  normalise(x: Rows, norm: KeptNorm): Rows {
    requireWidth("a norm", norm.width, x.width);
    const out = this.#take(x.width);
    this.#normalise(norm, { input: x.address, out: out.address, rows: this.#padded });
    return out;
  }

  /** Every head of rows [heads·width] normalised for itself, in its place. */
  normaliseHeads(x: Rows, norm: KeptNorm): void {
    const { width } = norm;
    if (width % 8 !== 0 || x.width % width !== 0) {
      throw new ShapeError(
        "linear-shape",
        `Cannot normalise heads as their width must be a multiple of 8 that divides their row: ${width} and ${x.width}. ` +
          "Use the staged form of this model",
      );
    }
    const rows = (this.#padded * x.width) / width;
    this.#normalise(norm, { input: x.address, out: x.address, rows });
  }

  #normalise(
    { kind, width, epsilon, gain, shift }: KeptNorm,
    places: { readonly input: number; readonly out: number; readonly rows: number },
  ): void {
    const { relaxed, shared } = this.#engine;
    const spec = { norm: kind, width, epsilon, relaxed };
    const kernel = codeOf(this.#engine, `norm ${kind} ${width} ${epsilon}`, () =>
      this.#engine.compile(normModule(spec, shared)),
    );
    const rowBytes = 4 * roundUp(width, 8);
    const records = runsOf(places.rows, blockRows).map(([first, rows]) => ({
      rows,
      input: places.input + first * rowBytes,
      out: places.out + first * rowBytes,
      gain,
      shift,
    }));
    const isSmall = places.rows * width < productsWorthWaking;
    runTasks(this.#engine, "normaliseRows", normFields, records, {
      kernel,
      scratch: 0,
      scratchBytes: 0,
      isSmall,
    });
  }

  /** y = W·x + b. */
  linear(x: Rows, map: KeptLinear): Rows {
    return this.linears(x, [map])[0];
  }

  /** y = W·x + b of several maps at once, whose weights are of one kind. */
  linears(x: Rows, maps: readonly KeptLinear[]): readonly Rows[] {
    const outs = maps.map(({ outputs }) => this.#take(outputs));
    this.#linear(
      "none",
      x,
      maps.map((map, index) => ({ map, out: outs[index] })),
    );
    return outs;
  }

  /** target += W·x + b. */
  addLinear(target: Rows, x: Rows, map: KeptLinear): void {
    requireWidth("a residual", map.outputs, target.width);
    this.#linear("add", x, [{ map, out: target }]);
  }

  /** silu(G·x + c)⊙(U·x + b); without a gate f(U·x + b), where f is GELU unless it is named. */
  activated(
    x: Rows,
    {
      up,
      gate,
      activation = "gelu",
    }: {
      readonly up: KeptLinear;
      readonly gate?: KeptLinear | undefined;
      readonly activation?: "gelu" | "gelu-exact" | "relu";
    },
  ): Rows {
    const out = this.#take(up.outputs);
    if (gate !== undefined) requireAlike(up, gate);
    this.#linear(gate === undefined ? activation : "swiglu", x, [{ map: up, out, gate }]);
    return out;
  }

  #linear(finish: LinearFinish, input: Rows, products: readonly RowsProduct[]): void {
    const { arena, threads } = this.#engine;
    const { kernel, records, scratchBytes, isSmall } = linearPhase(this.#engine, {
      finish,
      rows: this.#padded,
      input,
      products,
    });
    const { mark } = arena;
    const scratch = arena.take(scratchBytes * threads);
    runWritten(this.#engine, records, { kernel, scratch, scratchBytes, isSmall });
    arena.giveBack(mark);
  }

  #take(width: number): Rows {
    return { address: this.#engine.arena.take(4 * this.#padded * roundUp(width, 8)), width };
  }
}

const normFields = ["task", "rows", "input", "out", "gain", "shift"] as const;
type NormField = Exclude<(typeof normFields)[number], "task">;

/** The module of a norm: the task `normaliseRows`. */
function normModule(spec: NormSpec, shared: boolean): WasmModule {
  const normalise = normaliseFunction(spec);
  const field = (record: Local, name: NormField) => i32.load(record, 4 * normFields.indexOf(name));
  const task = defineFunction(
    "normaliseRows",
    normalise.comment,
    ["record", "scratch"],
    spec.relaxed,
    (b, record) =>
      b.call(
        normalise,
        field(record, "input"),
        field(record, "gain"),
        field(record, "shift"),
        field(record, "out"),
        field(record, "rows"),
      ),
  );
  return {
    header: [`qklab ${spec.norm} norm of ${spec.width}; ${spec.relaxed ? "relaxed" : "plain"} SIMD`],
    functions: [normalise, task],
    exports: [task.name],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}

function requireAlike(map: KeptLinear, gate: KeptLinear): void {
  if (map.inputs === gate.inputs && map.outputs === gate.outputs && map.kind === gate.kind) return;
  throw new ShapeError(
    "linear-shape",
    `Cannot gate a map as both must be stored alike: ${map.kind} ${map.inputs} to ${map.outputs}, and ` +
      `${gate.kind} ${gate.inputs} to ${gate.outputs}. Keep both in one form`,
  );
}
