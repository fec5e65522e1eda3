/** @file The biases of a position for keys that were picked from a cache, by their distance from the query. */
import { type Tensor, type Tensor64 } from "../../../base/tensor.ts";
import { type BiasPosition } from "../../../positions/index.ts";

type Parameters = Readonly<Record<string, Tensor64>>;

export class PlaceBiases {
  readonly #position: BiasPosition;
  readonly #heads: number;
  /** [H, known] by distance, and the parameters that they were computed with. */
  #table: Float64Array = new Float64Array();
  #known = 0;
  #parameters: readonly Float64Array[] = [];

  constructor(position: BiasPosition, heads: number) {
    this.#position = position;
    this.#heads = heads;
  }

  /**
   * Biases of the keys of every query head, [B, H, 1, keys], zeros behind the last.
   *
   * @param kept - places of each head's keys
   * @param own - the query's place
   */
  of(kept: readonly Int32Array[], own: number, keys: number, batch: number, parameters: Parameters): Tensor {
    this.#reach(own, parameters);
    const data = new Float32Array(kept.length * keys);
    kept.forEach((places, number) => {
      const first = (number % this.#heads) * this.#known;
      places.forEach((place, index) => (data[number * keys + index] = this.#table[first + own - place]));
    });
    return { data, shape: [batch, this.#heads, 1, keys] };
  }

  /** Computes biases up to a distance, and twice as many as before. */
  #reach(distance: number, parameters: Parameters): void {
    const own = this.#position.parameters.map(({ name }) => parameters[name].data);
    const isSame = own.every((data, index) =>
      data.every((value, at) => value === this.#parameters[index]?.[at]),
    );
    if (isSame && distance < this.#known) return;
    const flat = Object.fromEntries(Object.entries(parameters).map(([name, { data }]) => [name, data]));
    this.#known = Math.max(distance + 1, 2 * this.#known);
    const deltas = Int32Array.from({ length: this.#known }, (_, delta) => delta);
    this.#table = this.#position.table(this.#heads, deltas, flat);
    this.#parameters = own.map((data) => data.slice());
  }
}
