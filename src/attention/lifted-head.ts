/**
 * @file One head of one batch entry as the similarity sees it: queries and keys after rotation by their place and after
 * the similarity's metric, and the way back for gradients. f64, part of the reference.
 */
import { type Tensor64 } from "../base/tensor.ts";
import { type RotaryPosition, rotaryTable, type RotaryTable } from "../positions/index.ts";
import { type AttentionInputs, type AttentionSizes } from "./inputs.ts";
import { type Composition } from "./composition.ts";

/** Queries [Q, D] and keys [S, D] of one head, flat. */
export interface LiftedHead {
  readonly queries: Float64Array;
  readonly keys: Float64Array;
}

/** Where one head's rows lie in the tensors of a call. */
export interface HeadPlace {
  readonly batch: number;
  readonly head: number;
  /** The key/value head that this query head reads. */
  readonly keyHead: number;
}

/** All heads of all batch entries. */
export function headPlaces({ batch, heads, keyHeads }: AttentionSizes): readonly HeadPlace[] {
  return Array.from({ length: batch * heads }, (_, index) => {
    const head = index % heads;
    return { batch: Math.floor(index / heads), head, keyHead: Math.floor((head * keyHeads) / heads) };
  });
}

/** The rows of one head of a [B, heads, N, width] tensor, as a view. */
export function headRows({ data, shape }: Tensor64, batch: number, head: number): Float64Array {
  const [, heads, count, width] = shape;
  const start = (batch * heads + head) * count * width;
  return data.subarray(start, start + count * width);
}

/** Lifts heads of one call and pulls their gradients back. */
export interface Lift {
  readonly lift: (place: HeadPlace) => LiftedHead;
  /** Adds the gradients of a lifted head to those of q, k and, where there is one, the metric. */
  readonly pullBack: (
    place: HeadPlace,
    gradients: LiftedHead,
    into: { readonly q: Tensor64; readonly k: Tensor64; readonly metric: Tensor64 | undefined },
  ) => void;
}

/** The lift of a composition for one call. */
export function liftOf(
  { position }: Composition,
  { q, k, offset = 0 }: AttentionInputs<Tensor64>,
  sizes: AttentionSizes,
  metric: Tensor64 | undefined,
): Lift {
  const { width, queries, keys } = sizes;
  const rotation = position.place === "rotation" ? position : undefined;
  const sides = {
    query: tableOf(rotation, width, { first: offset, count: queries, role: "query", length: keys }),
    key: tableOf(rotation, width, { first: 0, count: keys, role: "key", length: keys }),
  };
  const rootMetric = (head: number): Float64Array | undefined =>
    metric?.data.subarray(head * width, (head + 1) * width).map(Math.sqrt);

  const liftSide = (rows: Float64Array, table: RotaryTable | undefined, head: number): Float64Array => {
    const lifted = rows.slice();
    if (table !== undefined) rotate(lifted, width, table, 1);
    const root = rootMetric(head);
    return root === undefined ? lifted : lifted.map((value, flat) => value * root[flat % width]);
  };

  const pullSide = (
    rows: Float64Array,
    table: RotaryTable | undefined,
    head: number,
    gradient: Float64Array,
    into: Float64Array,
    metricGradient: Tensor64 | undefined,
  ): void => {
    const pulled = gradient.slice();
    const root = rootMetric(head);
    if (root !== undefined) {
      pulled.forEach((value, flat) => {
        const d = flat % width;
        if (metricGradient !== undefined) {
          metricGradient.data[head * width + d] += (value * rows[flat]) / (2 * root[d]);
        }
        pulled[flat] = value * root[d];
      });
    }
    if (table !== undefined) rotate(pulled, width, table, -1);
    pulled.forEach((value, flat) => (into[flat] += value));
  };

  return {
    lift: ({ batch, head, keyHead }) => ({
      queries: liftSide(headRows(q, batch, head), sides.query, head),
      keys: liftSide(headRows(k, batch, keyHead), sides.key, head),
    }),
    pullBack({ batch, head, keyHead }, gradients, into) {
      const queryRows = headRows(q, batch, head);
      const keyRows = headRows(k, batch, keyHead);
      pullSide(queryRows, sides.query, head, gradients.queries, headRows(into.q, batch, head), into.metric);
      pullSide(keyRows, sides.key, head, gradients.keys, headRows(into.k, batch, keyHead), into.metric);
    },
  };
}

function tableOf(
  rotation: RotaryPosition | undefined,
  width: number,
  places: Parameters<typeof rotaryTable>[2],
): RotaryTable | undefined {
  return rotation === undefined ? undefined : rotaryTable(rotation, width, places);
}

/** Turns the pairs of every row in place by the table (direction 1), or applies the transposed map (direction −1). */
export function rotate(
  rows: Float64Array,
  width: number,
  { cos, sin, pairs }: RotaryTable,
  direction: 1 | -1,
): void {
  let angle = 0;
  for (let row = 0; row < rows.length; row += width) {
    for (const [a, b] of pairs) {
      const c = cos[angle];
      const s = direction * sin[angle];
      const x = rows[row + a];
      const y = rows[row + b];
      rows[row + a] = c * x - s * y;
      rows[row + b] = c * y + s * x;
      angle++;
    }
  }
}
