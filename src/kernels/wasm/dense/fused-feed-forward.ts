/** @file Forward and backward of a feed-forward block on an engine: its places in memory, its tasks, and what goes in and out. */
import { ShapeError } from "../../../base/errors.ts";
import { hasShape, listShapes } from "../../../base/fitting.ts";
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { normEpsilon } from "../../reference/norm.ts";
import { DenseCall, type DenseRecord, inDenseCall, mostParts } from "./dense-call.ts";
import { blockRows } from "./dense-code.ts";
import { type WasmEngine } from "../engine/engine.ts";
import {
  type FeedForwardField,
  feedForwardFields,
  type FeedForwardKind,
  feedForwardModule,
  feedForwardScratchBytes,
} from "./feed-forward-kernel.ts";
import { roundUp } from "../attention/kernel-spec.ts";

/** The inputs of a block; `gate` is what makes it SwiGLU, `shift` what makes its norm LayerNorm. */
export interface FeedForwardInputs<T = Tensor> {
  /** [..., width] */
  readonly x: T;
  /** [width] */
  readonly gain: T;
  /** [width] */
  readonly shift?: T;
  /** [hidden, width] */
  readonly gate?: T;
  /** [hidden, width] */
  readonly up: T;
  /** [width, hidden] */
  readonly down: T;
  /** ε of the norm (default 1e-5). */
  readonly epsilon?: number;
}

/** gate·n and up·n of a call, which stay in the engine's memory from its forward pass to its backward pass. */
export interface KeptHidden {
  readonly gate: number;
  readonly up: number;
}

/** Kept numbers leave so much of the memory to calls. */
const mostKeptBytes = 2 ** 31;

/**
 * Places in the engine's memory for what the forward pass of a call would compute again in its backward pass; undefined where
 * they would take too much of it. To be given back by {@link releaseHidden}.
 */
export function keepHidden({ arena }: WasmEngine, inputs: FeedForwardInputs): KeptHidden | undefined {
  requireFitting(inputs);
  const { x, gate, up } = inputs;
  const [hidden, width] = up.shape;
  const bytes = 4 * roundUp(sizeOf(x.shape) / width, 4) * roundUp(hidden, 8);
  const total = gate === undefined ? bytes : 2 * bytes;
  if (arena.mark + total > mostKeptBytes) return undefined;
  const place = arena.keep(total);
  return gate === undefined ? { gate: 0, up: place } : { up: place, gate: place + bytes };
}

/** Gives the places back. */
export function releaseHidden({ arena }: WasmEngine, { up }: KeptHidden): void {
  arena.release(up);
}

/**
 * out = x + down·(silu(gate·n)⊙up·n), or x + down·gelu(up·n) without a gate, of n = norm(x): x/√(mean x² + ε)⊙gain, or
 * (x − mean x)/√(variance x + ε)⊙gain + shift.
 *
 * @param engine - what computes it
 * @param kept - filled for the backward pass
 * @returns [..., width]
 * @throws ShapeError `feed-forward-shape` for weights that do not fit; UnsupportedError `memory` beyond 4 GiB
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { fusedFeedForward, openEngine } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const [x, gain] = [tensor([1, 2], [1, 2]), tensor([1, 1], [2])];
 * const [up, down] = [tensor([1, 0, 0, 1, 1, 1], [3, 2]), tensor([1, 0, 0, 0, 1, 0], [2, 3])];
 * fusedFeedForward(engine, { x, gain, up, down }).shape; // [1, 2]
 * engine.close();
 * ```
 */
export function fusedFeedForward(engine: WasmEngine, inputs: FeedForwardInputs, kept?: KeptHidden): Tensor {
  requireFitting(inputs);
  return inDenseCall(engine, () => {
    const call = new FeedForwardCall(engine, inputs);
    const out = call.dense.take(call.paddedRows * call.width);
    call.dense.run(
      "feedForward",
      call.blocks(blockRows).map(({ first, rows }) => ({
        ...call.weights,
        ...call.kept(kept, first),
        rows,
        input: call.row(call.input, first),
        out: call.row(out, first),
      })),
    );
    return call.readRows(out);
  });
}

/**
 * Gradients of Σ out·dOut by every input.
 *
 * @param dOut - [..., width]
 * @param kept - what the forward pass of the same inputs filled; without it, it is computed again
 */
export function fusedFeedForwardBackward(
  engine: WasmEngine,
  inputs: FeedForwardInputs,
  dOut: Tensor,
  kept?: KeptHidden,
): Omit<FeedForwardInputs, "epsilon"> {
  requireFitting(inputs);
  return inDenseCall(engine, () => {
    const call = new FeedForwardCall(engine, inputs);
    const { dense, width, hidden, paddedRows } = call;
    const outGradient = call.copyRows(dOut);
    const inputGradient = dense.take(paddedRows * width);
    const parts = call.blocks(Math.max(blockRows, roundUp(Math.ceil(paddedRows / mostParts), blockRows)));
    const matrix = width * hidden;
    const sums = dense.partSums(parts.length, {
      gainGradient: width,
      shiftGradient: width,
      gateGradient: inputs.gate === undefined ? 0 : matrix,
      upGradient: matrix,
      downGradient: matrix,
    });
    dense.run(
      "feedForwardBackward",
      parts.map(({ first, rows }, part) => ({
        ...call.weights,
        ...sums.of(part),
        ...call.kept(kept, first),
        rows,
        input: call.row(call.input, first),
        outGradient: call.row(outGradient, first),
        inputGradient: call.row(inputGradient, first),
      })),
    );
    const { gainGradient, shiftGradient, gateGradient, upGradient, downGradient } = sums.join();
    return {
      x: call.readRows(inputGradient),
      gain: call.readWeight(gainGradient, inputs.gain),
      ...(inputs.shift === undefined ? {} : { shift: call.readWeight(shiftGradient, inputs.shift) }),
      ...(inputs.gate === undefined ? {} : { gate: call.readWeight(gateGradient, inputs.gate) }),
      up: call.readWeight(upGradient, inputs.up),
      down: call.readWeight(downGradient, inputs.down),
    };
  });
}

/** One call: where its rows and weights lie. */
class FeedForwardCall {
  readonly dense: DenseCall<FeedForwardField>;
  readonly width: number;
  readonly hidden: number;
  readonly paddedRows: number;
  readonly input: number;
  /** The fields of all weights. */
  readonly weights: DenseRecord<FeedForwardField>;
  readonly #shape: readonly number[];
  readonly #ownWidth: number;

  constructor(
    engine: WasmEngine,
    { x, gain, shift, gate, up, down, epsilon = normEpsilon }: FeedForwardInputs,
  ) {
    const [ownHidden, ownWidth] = up.shape;
    const { relaxed, shared } = engine;
    const kind: FeedForwardKind = gate === undefined ? "gelu" : "swiglu";
    const norm = shift === undefined ? "rms" : "layer";
    const sizes = { width: ownWidth, hidden: ownHidden };
    this.dense = new DenseCall(engine, {
      key: `feed-forward ${kind} ${norm} ${epsilon} ${ownWidth} ${ownHidden}`,
      module: () => feedForwardModule({ kind, norm, epsilon, ...sizes, relaxed, shared }),
      fields: feedForwardFields,
      scratchBytes: feedForwardScratchBytes(sizes),
    });
    this.#shape = x.shape;
    this.#ownWidth = ownWidth;
    this.width = roundUp(ownWidth, 8);
    this.hidden = roundUp(ownHidden, 8);
    this.paddedRows = roundUp(sizeOf(x.shape) / ownWidth, 4);
    this.input = this.copyRows(x);
    const { dense, width, hidden } = this;
    const [upAt, downAt] = [this.#copyWeight(up), this.#copyWeight(down)];
    const gateAt = gate === undefined ? 0 : this.#copyWeight(gate);
    this.weights = {
      gain: dense.vector(gain),
      shift: dense.vector(shift),
      up: upAt,
      packedUp: dense.pack("packWide", upAt, hidden, width),
      down: downAt,
      packedDown: dense.pack("packHidden", downAt, width, hidden),
      ...(gate === undefined
        ? {}
        : { gate: gateAt, packedGate: dense.pack("packWide", gateAt, hidden, width) }),
    };
  }

  copyRows({ data }: Tensor): number {
    const rows = data.length / this.#ownWidth;
    return this.dense.copy(
      data,
      { rows, width: this.#ownWidth },
      { rows: this.paddedRows, width: this.width },
    );
  }

  readRows(address: number): Tensor {
    const rows = sizeOf(this.#shape) / this.#ownWidth;
    const padded = { rows: this.paddedRows, width: this.width };
    return this.dense.read(address, this.#shape, { rows, width: this.#ownWidth }, padded);
  }

  #copyWeight({ data, shape: [rows, width] }: Tensor): number {
    return this.dense.copy(data, { rows, width }, { rows: roundUp(rows, 8), width: roundUp(width, 8) });
  }

  readWeight(address: number, { shape }: Tensor): Tensor {
    const [rows, width] = shape.length === 1 ? [1, shape[0]] : shape;
    const padded = { rows: roundUp(rows, 8), width: roundUp(width, 8) };
    return this.dense.read(address, shape, { rows, width }, padded);
  }

  /** The fields of kept rows from `first` on. */
  kept(places: KeptHidden | undefined, first: number): DenseRecord<FeedForwardField> {
    if (places === undefined) return {};
    const offset = 4 * first * this.hidden;
    return { keptGate: places.gate + offset, keptUp: places.up + offset };
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
}

function requireFitting({ x, gain, shift, gate, up, down }: FeedForwardInputs): void {
  const [hidden, width] = up.shape;
  const isRight =
    up.shape.length === 2 &&
    x.shape.at(-1) === width &&
    hasShape(down, width, hidden) &&
    hasShape(gate, hidden, width) &&
    hasShape(gain, width) &&
    hasShape(shift, width);
  if (isRight) return;
  const shapes = listShapes({ x, gain, shift, gate, up, down });
  throw new ShapeError(
    "feed-forward-shape",
    "Cannot feed forward as x must be [..., width], gain and shift [width], gate and up [hidden, width], " +
      `down [width, hidden]: ${shapes}. Pass weights as [out, in]`,
  );
}
