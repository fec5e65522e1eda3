/** @file One call between rows of sequences and rows of heads: where both lie, and how they go in and out. */
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { type BlockShape, DenseCall, type DenseCode, type DenseRecord } from "./dense-call.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { type HeadBlockField, type HeadLayout, type RowShare } from "./head-blocks.ts";
import { roundUp } from "../attention/kernel-spec.ts";

/** Fields that records take from a share of the rows; a field that a task does not read is 0. */
type Places = Partial<Record<RowPlace | HeadPlace, number>>;
type RowPlace = "input" | "inputGradient" | "out" | "outGradient";
type HeadPlace = "heads" | "headGradients";

export class HeadRowsCall extends DenseCall<HeadBlockField> {
  readonly batch: number;
  /** N, rounded up to a multiple of 4. */
  readonly rows: number;
  readonly #layout: HeadLayout;
  readonly #length: number;

  constructor(
    engine: WasmEngine,
    code: DenseCode<HeadBlockField>,
    layout: HeadLayout,
    [batch, length]: readonly number[],
  ) {
    super(engine, code);
    this.batch = batch;
    this.#length = length;
    this.rows = roundUp(length, 4);
    this.#layout = layout;
  }

  get #sequence(): { readonly own: BlockShape; readonly padded: BlockShape } {
    const { width } = this.#layout;
    return { own: { rows: this.#length, width }, padded: { rows: this.rows, width: roundUp(width, 8) } };
  }

  get #head(): { readonly own: BlockShape; readonly padded: BlockShape } {
    const { headWidth: width } = this.#layout;
    return { own: { rows: this.#length, width }, padded: { rows: this.rows, width: roundUp(width, 8) } };
  }

  copyRows({ data }: Tensor): number {
    const { own, padded } = this.#sequence;
    return this.copy(data, own, padded);
  }

  takeRows(): number {
    const { rows, width } = this.#sequence.padded;
    return this.take(this.batch * rows * width);
  }

  readRows(address: number): Tensor {
    const { own, padded } = this.#sequence;
    return this.read(address, [this.batch, own.rows, own.width], own, padded);
  }

  takeHeads(): number {
    const { rows, width } = this.#head.padded;
    return this.take(this.batch * this.#layout.heads * rows * width);
  }

  /** Puts heads [B, h, N, D] of several tensors side by side, in their order. */
  copyHeads(tensors: readonly Tensor[]): number {
    const { own, padded } = this.#head;
    const address = this.takeHeads();
    for (const [{ data, shape }, from, to] of this.#runs(tensors)) {
      const count = shape[1] * own.rows * own.width;
      const target = address + 4 * to * padded.rows * padded.width;
      this.copyTo(target, data.subarray(from * count, (from + 1) * count), own, padded);
    }
    return address;
  }

  /** The inverse of {@link copyHeads}, for so many heads a tensor. */
  readHeads(address: number, counts: readonly number[]): Tensor[] {
    const { own, padded } = this.#head;
    const tensors = counts.map((heads): Tensor => {
      const shape = [this.batch, heads, own.rows, own.width];
      return { data: new Float32Array(sizeOf(shape)), shape };
    });
    for (const [{ data, shape }, from, to] of this.#runs(tensors)) {
      const count = shape[1] * own.rows * own.width;
      const source = address + 4 * to * padded.rows * padded.width;
      this.readTo(data.subarray(from * count, (from + 1) * count), source, own, padded);
    }
    return tensors;
  }

  /** The heads of every sequence of every tensor: the number of the sequence, and of its first head among all. */
  *#runs(tensors: readonly Tensor[]): Generator<readonly [tensor: Tensor, sequence: number, head: number]> {
    for (let sequence = 0; sequence < this.batch; sequence++) {
      let head = sequence * this.#layout.heads;
      for (const tensor of tensors) {
        yield [tensor, sequence, head];
        head += tensor.shape[1];
      }
    }
  }

  /** A record for a share of the rows, of the places where all rows lie. */
  record({ sequence, sequences, first, rows }: RowShare, places: Places): DenseRecord<HeadBlockField> {
    const [row, head] = [this.#sequence.padded, this.#head.padded];
    const inputStride = 4 * row.rows * row.width;
    const headStride = 4 * head.rows * head.width;
    const headsStride = this.#layout.heads * headStride;
    const ofRows = sequence * inputStride + 4 * first * row.width;
    const ofHeads = sequence * headsStride + 4 * first * head.width;
    const moved = Object.entries(places).map(([name, address]) => [
      name,
      address + (name === "heads" || name === "headGradients" ? ofHeads : ofRows),
    ]);
    return { sequences, rows, inputStride, headStride, headsStride, ...Object.fromEntries(moved) };
  }
}
