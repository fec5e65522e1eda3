/** @file The arrays of a call whose rows have copies, moved by tasks of the engine. */
import { type WasmEngine } from "../engine/engine.ts";
import { type Rearrangement } from "./rearrange.ts";
import {
  type CopyLists,
  copyRecords,
  type CopyTask,
  type RowJoin,
  runCopies,
  writeCopyLists,
} from "./row-copies.ts";

/** An array of rows with their copies. */
export interface CopiedArray {
  readonly side: keyof Rearrangement;
  /** The query head whose rearrangement it has. */
  readonly number: number;
  readonly data: number;
  readonly width: number;
  /** What `joinCopies` needs. */
  readonly join?: RowJoin;
}

/** Moves rows between themselves and their copies. */
export class CopiedArrays {
  readonly #engine: WasmEngine;
  readonly #counts: Readonly<Record<keyof Rearrangement, number>>;
  readonly #rearrangementOf: (number: number) => Rearrangement | undefined;
  readonly #lists = new Map<Int32Array, CopyLists>();

  /** @param rearrangementOf - that of a query head; undefined when there are no copies */
  constructor(
    engine: WasmEngine,
    { queries, keys }: { readonly queries: number; readonly keys: number },
    rearrangementOf: (number: number) => Rearrangement | undefined,
  ) {
    this.#engine = engine;
    this.#counts = { rows: queries, keys };
    this.#rearrangementOf = rearrangementOf;
  }

  /**
   * Runs a task over all arrays at once; nothing where there are no copies.
   *
   * @param arrays - [virtual rows or keys, width] each
   */
  move(task: CopyTask, arrays: readonly CopiedArray[]): void {
    const records = arrays.flatMap(({ side, number, data, width, join }) => {
      const order = this.#rearrangementOf(number)?.[side];
      if (order === undefined) return [];
      const lists = this.#lists.get(order) ?? writeCopyLists(this.#engine, order, this.#counts[side]);
      this.#lists.set(order, lists);
      return copyRecords(task, lists, data, width, join);
    });
    runCopies(this.#engine, task, records);
  }
}
