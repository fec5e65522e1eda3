/**
 * @file Inner reductions: how the coordinates of one query and one key become one number. All of a similarity's other
 * work is a scalar score of this number and the squared norms.
 */

export type InnerName = "dot" | "symplectic" | "l1" | "range";

/** A block of coordinates [start, stop) of a vector that begins at `offset` in `data`. */
export interface Block {
  readonly start: number;
  readonly stop: number;
}

/** A reduction of coordinates and its gradient, in f64. */
export interface Inner {
  readonly formula: string;
  /** Whether the coordinates of a block come in pairs (2m, 2m+1). */
  readonly paired: boolean;
  /** The reduction over `block` of the query at `queryAt` and the key at `keyAt`. */
  reduce(query: Float64Array, queryAt: number, key: Float64Array, keyAt: number, block: Block): number;
  /** Adds `cotangent` × the gradient of the reduction to `queryGradient` and `keyGradient` (same places). */
  accumulate(
    cotangent: number,
    query: Float64Array,
    queryAt: number,
    key: Float64Array,
    keyAt: number,
    block: Block,
    queryGradient: Float64Array,
    keyGradient: Float64Array,
  ): void;
}

/** Σ_d q_d k_d */
const dot: Inner = {
  formula: "Σ_d q_d·k_d",
  paired: false,
  reduce(query, queryAt, key, keyAt, { start, stop }) {
    let sum = 0;
    for (let d = start; d < stop; d++) sum += query[queryAt + d] * key[keyAt + d];
    return sum;
  },
  accumulate(cotangent, query, queryAt, key, keyAt, { start, stop }, queryGradient, keyGradient) {
    for (let d = start; d < stop; d++) {
      queryGradient[queryAt + d] += cotangent * key[keyAt + d];
      keyGradient[keyAt + d] += cotangent * query[queryAt + d];
    }
  },
};

/** Im Σ_m q_m·conj(k_m) over complex coordinates (2m, 2m+1); antisymmetric in q and k. */
const symplectic: Inner = {
  formula: "Σ_m q_{2m+1}·k_{2m} − q_{2m}·k_{2m+1}",
  paired: true,
  reduce(query, queryAt, key, keyAt, { start, stop }) {
    let sum = 0;
    for (let d = start; d < stop; d += 2) {
      sum += query[queryAt + d + 1] * key[keyAt + d] - query[queryAt + d] * key[keyAt + d + 1];
    }
    return sum;
  },
  accumulate(cotangent, query, queryAt, key, keyAt, { start, stop }, queryGradient, keyGradient) {
    for (let d = start; d < stop; d += 2) {
      queryGradient[queryAt + d] -= cotangent * key[keyAt + d + 1];
      queryGradient[queryAt + d + 1] += cotangent * key[keyAt + d];
      keyGradient[keyAt + d] += cotangent * query[queryAt + d + 1];
      keyGradient[keyAt + d + 1] -= cotangent * query[queryAt + d];
    }
  },
};

/** Σ_d |q_d − k_d|, with the subgradient 0 at q_d = k_d */
const l1: Inner = {
  formula: "Σ_d |q_d − k_d|",
  paired: false,
  reduce(query, queryAt, key, keyAt, { start, stop }) {
    let sum = 0;
    for (let d = start; d < stop; d++) sum += Math.abs(query[queryAt + d] - key[keyAt + d]);
    return sum;
  },
  accumulate(cotangent, query, queryAt, key, keyAt, { start, stop }, queryGradient, keyGradient) {
    for (let d = start; d < stop; d++) {
      const direction = cotangent * Math.sign(query[queryAt + d] - key[keyAt + d]);
      queryGradient[queryAt + d] += direction;
      keyGradient[keyAt + d] -= direction;
    }
  },
};

/** max_d (q_d − k_d) − min_d (q_d − k_d); the gradient goes to the first coordinate that attains each */
const range: Inner = {
  formula: "max_d(q_d − k_d) − min_d(q_d − k_d)",
  paired: false,
  reduce(query, queryAt, key, keyAt, block) {
    const { high, low } = extremes(query, queryAt, key, keyAt, block);
    return query[queryAt + high] - key[keyAt + high] - (query[queryAt + low] - key[keyAt + low]);
  },
  accumulate(cotangent, query, queryAt, key, keyAt, block, queryGradient, keyGradient) {
    const { high, low } = extremes(query, queryAt, key, keyAt, block);
    queryGradient[queryAt + high] += cotangent;
    keyGradient[keyAt + high] -= cotangent;
    queryGradient[queryAt + low] -= cotangent;
    keyGradient[keyAt + low] += cotangent;
  },
};

function extremes(
  query: Float64Array,
  queryAt: number,
  key: Float64Array,
  keyAt: number,
  { start, stop }: Block,
): { high: number; low: number } {
  let high = start;
  let low = start;
  for (let d = start + 1; d < stop; d++) {
    const difference = query[queryAt + d] - key[keyAt + d];
    if (difference > query[queryAt + high] - key[keyAt + high]) high = d;
    if (difference < query[queryAt + low] - key[keyAt + low]) low = d;
  }
  return { high, low };
}

export const inners: Readonly<Record<InnerName, Inner>> = { dot, symplectic, l1, range };
