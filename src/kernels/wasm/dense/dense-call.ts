/**
 * @file One call of a dense block on an engine: places in its memory for rows, weights and the gradients of weights, and
 * what goes in and out of them.
 */
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { type WasmModule } from "../assembler/assembler.ts";
import { type DenseField } from "./dense-code.ts";
import { type Task } from "../engine/tasks.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { runTasks } from "../engine/task-records.ts";
import { padRows } from "../attention/value-rows.ts";

/** Rows of a call are split into so many parts at most, each with its own gradients of the weights. */
export const mostParts = 8;

/** What a call runs. */
export interface DenseCode<Field extends string> {
  /** What the module depends on, beside the engine. */
  readonly key: string;
  readonly module: () => WasmModule;
  readonly fields: readonly ("task" | Field)[];
  /** Of one thread. */
  readonly scratchBytes: number;
}

export class DenseCall<Field extends string> {
  readonly #engine: WasmEngine;
  readonly #kernel: KernelCode;
  readonly #fields: readonly ("task" | Field)[];
  readonly #scratch: number;
  readonly #scratchBytes: number;

  constructor(engine: WasmEngine, { key, module, fields, scratchBytes }: DenseCode<Field>) {
    this.#engine = engine;
    this.#kernel = codeOf(engine, key, () => engine.compile(module()));
    this.#fields = fields;
    this.#scratchBytes = roundUp(scratchBytes, 64);
    this.#scratch = engine.arena.take(this.#scratchBytes * engine.threads);
  }

  take(floats: number): number {
    return this.#engine.arena.take(4 * floats);
  }

  takeZeros(floats: number): number {
    const address = this.take(floats);
    this.view(address, floats).fill(0);
    return address;
  }

  /** Floats of a place as a view, valid until memory is taken again. */
  view(address: number, floats: number): Float32Array {
    return this.#engine.arena.floats.subarray(address / 4, address / 4 + floats);
  }

  /** A place as integers. */
  integers(address: number, count: number): Int32Array {
    return this.#engine.arena.integers.subarray(address / 4, address / 4 + count);
  }

  /** Copies blocks of rows [count, rows, width] to [count, paddedRows, paddedWidth], zeros elsewhere. */
  copy(data: Float32Array, own: BlockShape, padded: BlockShape): number {
    const address = this.take((data.length / sizeOfBlock(own)) * sizeOfBlock(padded));
    this.copyTo(address, data, own, padded);
    return address;
  }

  /** {@link copy}, to a place. */
  copyTo(address: number, data: Float32Array, own: BlockShape, padded: BlockShape): void {
    const [ownSize, size] = [sizeOfBlock(own), sizeOfBlock(padded)];
    if (ownSize === size) {
      this.view(address, data.length).set(data);
      return;
    }
    for (let index = 0; index * ownSize < data.length; index++) {
      const block = data.subarray(index * ownSize, (index + 1) * ownSize);
      padRows(block, this.view(address + 4 * index * size, size), own.width, padded.width);
    }
  }

  /** The inverse of {@link copy}. */
  read(address: number, shape: readonly number[], own: BlockShape, padded: BlockShape): Tensor {
    const data = new Float32Array(sizeOf(shape));
    this.readTo(data, address, own, padded);
    return { data, shape };
  }

  /** The inverse of {@link copyTo}. */
  readTo(data: Float32Array, address: number, own: BlockShape, padded: BlockShape): void {
    const size = sizeOfBlock(padded);
    if (size === sizeOfBlock(own)) {
      data.set(this.view(address, data.length));
      return;
    }
    for (let index = 0; index * own.width < data.length; index++) {
      const at = Math.floor(index / own.rows) * size + (index % own.rows) * padded.width;
      data.set(this.view(address + 4 * at, own.width), index * own.width);
    }
  }

  /** A vector with zeros behind it up to a multiple of eight; absent it is 0. */
  vector(tensor: Tensor | undefined): number {
    if (tensor === undefined) return 0;
    const { length } = tensor.data;
    return this.copy(tensor.data, { rows: 1, width: length }, { rows: 1, width: roundUp(length, 8) });
  }

  /** The inverse of {@link vector}. */
  readVector(address: number, { data, shape }: Tensor): Tensor {
    return { data: new Float32Array(this.view(address, data.length)), shape };
  }

  /** Lays weights [rows, columns], which lie in the memory, out in panels of eight rows. */
  pack(task: "packWide" | "packHidden", from: number, rows: number, columns: number): number {
    const to = this.take(rows * columns);
    this.run(task, [{ from, to, rows } as Partial<Record<DenseField, number>> as DenseRecord<Field>]);
    return to;
  }

  run(task: Task, records: readonly DenseRecord<Field>[]): void {
    runTasks(this.#engine, task, this.#fields, records, {
      kernel: this.#kernel,
      scratch: this.#scratch,
      scratchBytes: this.#scratchBytes,
    });
  }

  /** Places for gradients that the parts of a call sum apart, cleared. */
  partSums<Name extends string>(
    parts: number,
    sizes: Readonly<Record<Name, number>>,
  ): { readonly of: (part: number) => Record<Name, number>; readonly join: () => Record<Name, number> } {
    const places = (Object.entries(sizes) as [Name, number][]).map(([name, floats]) => ({
      name,
      floats,
      address: this.takeZeros(parts * floats),
    }));
    const of = (part: number): Record<Name, number> =>
      Object.fromEntries(
        places.map(({ name, floats, address }) => [name, address + 4 * part * floats]),
      ) as Record<Name, number>;
    return {
      of,
      join: () => {
        this.run(
          "sumParts",
          places.flatMap(({ floats, address }) =>
            slices(floats).map(({ first, count }) => {
              const sum: Partial<Record<DenseField, number>> = {
                to: address + 4 * first,
                rows: count,
                count: parts,
                stride: 4 * floats,
              };
              return sum as DenseRecord<Field>;
            }),
          ),
        );
        return of(0);
      },
    };
  }
}

/** Extents of a block of rows. */
export interface BlockShape {
  readonly rows: number;
  readonly width: number;
}

const sizeOfBlock = ({ rows, width }: BlockShape): number => rows * width;

/** A record before it is written: fields that it leaves out are 0. */
export type DenseRecord<Field extends string> = Partial<Record<Field, number>>;

const sliceFloats = 16_384;

/** Runs of numbers that threads sum side by side. */
function slices(floats: number): { readonly first: number; readonly count: number }[] {
  return Array.from({ length: Math.ceil(floats / sliceFloats) }, (_, slice) => ({
    first: slice * sliceFloats,
    count: Math.min(sliceFloats, floats - slice * sliceFloats),
  }));
}

/** Gives back what a call took, whatever happens. */
export function inDenseCall<T>({ arena }: WasmEngine, run: () => T): T {
  const { mark } = arena;
  try {
    return run();
  } finally {
    arena.giveBack(mark);
  }
}

const codes = new WeakMap<WasmEngine, Map<string, KernelCode>>();

/** Code by what it is for, so that a call need not emit it again. */
export function codeOf(engine: WasmEngine, key: string, make: () => KernelCode): KernelCode {
  const ofEngine = codes.get(engine) ?? new Map<string, KernelCode>();
  codes.set(engine, ofEngine);
  const found = ofEngine.get(key) ?? make();
  ofEngine.set(key, found);
  return found;
}
