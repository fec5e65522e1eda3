/**
 * @file The biases of a position by distance, kept between calls: computed for all distances that a cache has room for,
 * and again only when the room or the position's parameters change.
 */
import { type Tensor64 } from "../../../base/tensor.ts";
import { type BiasPosition } from "../../../positions/index.ts";
import { type Arena } from "../engine/arena.ts";
import { roundUp, tileKeys } from "./kernel-spec.ts";

/** Biases [H, length] by j − i, ascending. */
export interface TablePlace {
  readonly address: number;
  /** Numbers from one head's to the next. */
  readonly length: number;
  /** The number of Δ is `origin` − Δ. */
  readonly origin: number;
}

interface Computed extends TablePlace {
  readonly queries: number;
  readonly parameters: readonly Float64Array[];
}

export class StoredTable {
  readonly #arena: Arena;
  readonly #position: BiasPosition;
  readonly #heads: number;
  #computed: Computed | undefined;

  constructor(arena: Arena, position: BiasPosition, heads: number) {
    this.#arena = arena;
    this.#position = position;
    this.#heads = heads;
  }

  /** The table for up to `queries` queries over up to `keys` keys. */
  place(queries: number, keys: number, parameters: Readonly<Record<string, Tensor64>>): TablePlace {
    const own = this.#position.parameters.map(({ name }) => parameters[name].data);
    const held = this.#computed;
    const isSame = held?.parameters.every((data, index) =>
      data.every((value, at) => value === own[index][at]),
    );
    if (held !== undefined && isSame === true && held.queries >= queries && held.origin >= keys - 1)
      return held;
    this.release();
    const deltas = Int32Array.from({ length: queries + keys - 1 }, (_, index) => index - (queries - 1));
    const flat = Object.fromEntries(Object.entries(parameters).map(([name, { data }]) => [name, data]));
    const table = this.#position.table(this.#heads, deltas, flat);
    const length = roundUp(deltas.length + tileKeys, 16);
    const address = this.#arena.keep(4 * this.#heads * length);
    const view = this.#arena.floats.subarray(address / 4, address / 4 + this.#heads * length).fill(0);
    for (let head = 0; head < this.#heads; head++) {
      const byDelta = table.subarray(head * deltas.length, (head + 1) * deltas.length);
      view.set(byDelta.toReversed(), head * length);
    }
    const parametersThen = own.map((data) => data.slice());
    this.#computed = { address, length, origin: keys - 1, queries, parameters: parametersThen };
    return this.#computed;
  }

  release(): void {
    if (this.#computed !== undefined) this.#arena.release(this.#computed.address);
    this.#computed = undefined;
  }
}
