/** @file Forward and backward of a feed-forward block on an engine: its places in memory, its tasks, and what goes in and out. */
import { ShapeError } from "../../base/errors.ts";
import { sizeOf, type Tensor } from "../../base/tensor.ts";
import { type Task } from "./emit-kernel.ts";
import { type KernelCode, type WasmEngine } from "./engine.ts";
import {
  blockRows,
  type FeedForwardField,
  feedForwardFields,
  type FeedForwardKind,
  feedForwardModule,
  feedForwardScratchBytes,
} from "./feed-forward-kernel.ts";
import { roundUp } from "./kernel-spec.ts";
import { runTasks } from "./task-records.ts";
import { padRows } from "./value-rows.ts";

/** The inputs of a block; `gate` is what makes it SwiGLU. */
export interface FeedForwardInputs<T = Tensor> {
  /** [M, width] */
  readonly x: T;
  /** [hidden, width] */
  readonly gate?: T;
  /** [hidden, width] */
  readonly up: T;
  /** [width, hidden] */
  readonly down: T;
}

/** Rows of a call are split into so many parts at most, each with its own gradients of the weights. */
const mostParts = 8;

type TaskRecord = Partial<Record<Exclude<FeedForwardField, "task">, number>>;

/**
 * out = down·(silu(gate·x)⊙up·x), or down·gelu(up·x) without a gate.
 *
 * @param engine - what computes it
 * @returns [M, width]
 * @throws ShapeError `feed-forward-shape` for weights that do not fit; UnsupportedError `memory` beyond 4 GiB
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { fusedFeedForward, openEngine } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const x = tensor([1, 2], [1, 2]);
 * const [up, down] = [tensor([1, 0, 0, 1, 1, 1], [3, 2]), tensor([1, 0, 0, 0, 1, 0], [2, 3])];
 * fusedFeedForward(engine, { x, up, down }).shape; // [1, 2]
 * engine.close();
 * ```
 */
export function fusedFeedForward(engine: WasmEngine, inputs: FeedForwardInputs): Tensor {
  return inCall(engine, inputs, (call) => {
    call.pack();
    const out = call.takeFloats(call.paddedRows * call.width);
    call.run(
      "feedForward",
      call.blocks(blockRows).map(({ first, rows }) => ({
        ...call.weights,
        rows,
        input: call.row(call.input, first),
        out: call.row(out, first),
      })),
    );
    return call.read(out, inputs.x.shape);
  });
}

/**
 * Gradients of Σ out·dOut by every input.
 *
 * @param dOut - [M, width]
 */
export function fusedFeedForwardBackward(
  engine: WasmEngine,
  inputs: FeedForwardInputs,
  dOut: Tensor,
): FeedForwardInputs {
  return inCall(engine, inputs, (call) => {
    call.pack();
    const { width, hidden, paddedRows } = call;
    const outGradient = call.copy(dOut, paddedRows, width);
    const inputGradient = call.takeFloats(paddedRows * width);
    const partRows = Math.max(blockRows, roundUp(Math.ceil(paddedRows / mostParts), blockRows));
    const parts = call.blocks(partRows);
    const names = inputs.gate === undefined ? (["up", "down"] as const) : (["gate", "up", "down"] as const);
    const sums = names.map((name) => {
      const address = call.takeFloats(parts.length * width * hidden);
      call.view(address, parts.length * width * hidden).fill(0);
      return { name, address };
    });
    call.run(
      "feedForwardBackward",
      parts.map(({ first, rows }, part) => ({
        ...call.weights,
        rows,
        input: call.row(call.input, first),
        outGradient: call.row(outGradient, first),
        inputGradient: call.row(inputGradient, first),
        ...Object.fromEntries(
          sums.map(({ name, address }) => [`${name}Gradient`, address + 4 * part * width * hidden]),
        ),
      })),
    );
    call.run(
      "sumParts",
      sums.map(({ address }) => ({
        to: address,
        rows: width * hidden,
        count: parts.length,
        stride: 4 * width * hidden,
      })),
    );
    const gradients = sums.map(
      ({ name, address }) => [name, call.read(address, inputs[name]!.shape)] as const,
    );
    return {
      x: call.read(inputGradient, inputs.x.shape),
      ...(Object.fromEntries(gradients) as Omit<FeedForwardInputs, "x">),
    };
  });
}

/** One call: where its rows and weights lie. Widths are rounded up to multiples of 8, rows to multiples of 4. */
class FeedForwardCall {
  readonly #engine: WasmEngine;
  readonly #code: KernelCode;
  readonly #scratch: number;
  readonly #scratchBytes: number;
  readonly #packing: { readonly task: Task; readonly record: TaskRecord }[] = [];
  readonly width: number;
  readonly hidden: number;
  readonly paddedRows: number;
  readonly input: number;
  /** The fields of all weights. */
  readonly weights: TaskRecord;

  constructor(engine: WasmEngine, { x, gate, up, down }: FeedForwardInputs) {
    const [rows, ownWidth] = x.shape;
    const [ownHidden] = up.shape;
    const kind: FeedForwardKind = gate === undefined ? "gelu" : "swiglu";
    const { relaxed, shared } = engine;
    this.#engine = engine;
    this.#code = codeOf(engine, `${kind} ${ownWidth} ${ownHidden}`, () =>
      engine.compile(feedForwardModule({ kind, width: ownWidth, hidden: ownHidden, relaxed, shared })),
    );
    const [width, hidden] = [roundUp(ownWidth, 8), roundUp(ownHidden, 8)];
    this.width = width;
    this.hidden = hidden;
    this.paddedRows = roundUp(rows, 4);
    this.input = this.copy(x, this.paddedRows, width);
    const place = (task: Task, weight: Tensor, rows: number, columns: number): readonly [number, number] => {
      const [from, to] = [this.copy(weight, rows, columns), this.takeFloats(rows * columns)];
      this.#packing.push({ task, record: { from, to, rows } });
      return [from, to];
    };
    const [upPlace, packedUp] = place("packWide", up, hidden, width);
    const [downPlace, packedDown] = place("packHidden", down, width, hidden);
    const [gatePlace, packedGate] = gate === undefined ? [0, 0] : place("packWide", gate, hidden, width);
    this.weights = { up: upPlace, packedUp, down: downPlace, packedDown, gate: gatePlace, packedGate };
    this.#scratchBytes = roundUp(feedForwardScratchBytes(ownHidden), 64);
    this.#scratch = engine.arena.take(this.#scratchBytes * engine.threads);
  }

  takeFloats(count: number): number {
    return this.#engine.arena.take(4 * count);
  }

  /** Floats of a place as a view, valid until memory is taken again. */
  view(address: number, count: number): Float32Array {
    return this.#engine.arena.floats.subarray(address / 4, address / 4 + count);
  }

  /** Copies a matrix into rows of `width`, zeros elsewhere. */
  copy({ data, shape }: Tensor, rows: number, width: number): number {
    const address = this.takeFloats(rows * width);
    padRows(data, this.view(address, rows * width), shape[1], width);
    return address;
  }

  /** A matrix as it was before it was padded. */
  read(address: number, shape: readonly number[]): Tensor {
    const [rows, width] = shape;
    const padded = roundUp(width, 8);
    if (padded === width) return { data: this.view(address, rows * width).slice(), shape };
    const data = new Float32Array(sizeOf(shape));
    for (let row = 0; row < rows; row++) data.set(this.view(address + 4 * row * padded, width), row * width);
    return { data, shape };
  }

  row(address: number, row: number): number {
    return address + 4 * row * this.width;
  }

  blocks(size: number): { readonly first: number; readonly rows: number }[] {
    return Array.from({ length: Math.ceil(this.paddedRows / size) }, (_, block) => ({
      first: block * size,
      rows: Math.min(size, this.paddedRows - block * size),
    }));
  }

  /** Lays the weights out for the products of the forward pass. */
  pack(): void {
    for (const { task, record } of this.#packing) this.run(task, [record]);
  }

  run(task: Task, records: readonly TaskRecord[]): void {
    runTasks(this.#engine, task, feedForwardFields, records, {
      kernel: this.#code,
      scratch: this.#scratch,
      scratchBytes: this.#scratchBytes,
    });
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

function inCall<T>(engine: WasmEngine, inputs: FeedForwardInputs, use: (call: FeedForwardCall) => T): T {
  requireFitting(inputs);
  const { mark } = engine.arena;
  try {
    return use(new FeedForwardCall(engine, inputs));
  } finally {
    engine.arena.giveBack(mark);
  }
}

function requireFitting({ x, gate, up, down }: FeedForwardInputs): void {
  const [, width] = x.shape;
  const [hidden] = up.shape;
  const fits = ({ shape }: Tensor, rows: number, columns: number): boolean =>
    shape.length === 2 && shape[0] === rows && shape[1] === columns;
  const isRight =
    x.shape.length === 2 &&
    fits(up, hidden, width) &&
    fits(down, width, hidden) &&
    (gate === undefined || fits(gate, hidden, width));
  if (isRight) return;
  const shapes = Object.entries({ x, gate, up, down }).flatMap(([name, tensor]) =>
    tensor === undefined ? [] : [`${name} [${tensor.shape.join(", ")}]`],
  );
  throw new ShapeError(
    "feed-forward-shape",
    `Cannot feed forward as x must be [M, width], gate and up [hidden, width], down [width, hidden]: ${shapes.join(", ")}. ` +
      "Reshape x to rows, and pass weights as [out, in]",
  );
}
