/**
 * @file Queries and keys on their way into a kernel and their gradients on the way back: turned by their place, multiplied
 * by the root of a metric, and laid out in the segments of the lifted row.
 */
import { rotaryTable, type Position, type RotaryTable } from "../../../positions/index.ts";
import { addRows, type Before, padRows } from "./value-rows.ts";
import { type Segment } from "./kernel-spec.ts";

/** How rows of one side are lifted. */
export interface RowLift {
  readonly side: "query" | "key";
  readonly segments: readonly Segment[];
  /** D */
  readonly width: number;
  readonly rowWidth: number;
  readonly table: RotaryTable | undefined;
  /** Whether a row is what it was and zeros, so that it can be copied. */
  readonly isPlain: boolean;
}

/** The lift of one side of a call: queries from place `offset`, or keys from place 0. */
export function rowLift(
  side: "query" | "key",
  shape: { readonly segments: readonly Segment[]; readonly width: number; readonly rowWidth: number },
  position: Position,
  places: { readonly first: number; readonly count: number; readonly length: number },
  {
    hasMetric,
    turnsInKernel,
  }: {
    readonly hasMetric: boolean;
    /** Whether the kernel turns the rows once they are in its memory. */
    readonly turnsInKernel: boolean;
  },
): RowLift {
  const table =
    position.place === "rotation" && !turnsInKernel
      ? rotaryTable(position, shape.width, { ...places, role: side })
      : undefined;
  const [{ isSymplectic }] = shape.segments;
  const isOne = shape.segments.length === 1 && !(isSymplectic && side === "key");
  return { side, ...shape, table, isPlain: isOne && table === undefined && !hasMetric };
}

/** The lift of a single row for several that are at its place. */
export function repeatedLift(lift: RowLift, count: number): RowLift {
  if (lift.table === undefined) return lift;
  const { cos, sin, pairs } = lift.table;
  const repeated = (row: Float64Array): Float64Array =>
    Float64Array.from({ length: count * row.length }, (_, flat) => row[flat % row.length]);
  return { ...lift, table: { cos: repeated(cos), sin: repeated(sin), pairs } };
}

/** Writes `count` lifted rows to `target`, which is [≥ count, rowWidth] and all zeros where a segment has no coordinate. */
export function liftRows(
  lift: RowLift,
  source: Float32Array,
  target: Float32Array,
  count: number,
  root?: Float64Array,
): void {
  const { width, rowWidth, segments, side, table } = lift;
  if (lift.isPlain) {
    padRows(source, target, width, rowWidth);
    return;
  }
  target.fill(0);
  const row = new Float64Array(width);
  for (let index = 0; index < count; index++) {
    for (let d = 0; d < width; d++) row[d] = source[index * width + d];
    if (table !== undefined) rotate(row, table, index, 1);
    if (root !== undefined) for (let d = 0; d < width; d++) row[d] *= root[d];
    for (const { start, stop, offset, isSymplectic } of segments) {
      const to = index * rowWidth + offset - start;
      if (isSymplectic && side === "key") {
        for (let d = start; d < stop; d += 2) {
          target[to + d] = -row[d + 1];
          target[to + d + 1] = row[d];
        }
      } else {
        for (let d = start; d < stop; d++) target[to + d] = row[d];
      }
    }
  }
}

/**
 * Adds the gradients of lifted rows to those of the rows they came from, and to that of the metric.
 *
 * @param lifted - [≥ count, rowWidth]
 * @param into - [count, width]
 * @param before - what `into` holds
 */
export function pullRows(
  lift: RowLift,
  lifted: Float32Array,
  into: Float32Array,
  count: number,
  before: Before,
  metric?: { readonly root: Float64Array; readonly source: Float32Array; readonly gradient: Float64Array },
): void {
  const { width, rowWidth, segments, side, table } = lift;
  if (lift.isPlain) {
    addRows(lifted, into, width, rowWidth, before);
    return;
  }
  const row = new Float64Array(width);
  for (let index = 0; index < count; index++) {
    row.fill(0);
    for (const { start, stop, offset, isSymplectic } of segments) {
      const from = index * rowWidth + offset - start;
      if (isSymplectic && side === "key") {
        for (let d = start; d < stop; d += 2) {
          row[d] += lifted[from + d + 1];
          row[d + 1] -= lifted[from + d];
        }
      } else {
        for (let d = start; d < stop; d++) row[d] += lifted[from + d];
      }
    }
    if (metric !== undefined) {
      for (let d = 0; d < width; d++) {
        metric.gradient[d] += (row[d] * metric.source[index * width + d]) / (2 * metric.root[d]);
        row[d] *= metric.root[d];
      }
    }
    if (table !== undefined) rotate(row, table, index, -1);
    for (let d = 0; d < width; d++) into[index * width + d] += row[d];
  }
}

function rotate(row: Float64Array, { cos, sin, pairs }: RotaryTable, index: number, direction: 1 | -1): void {
  const at = index * pairs.length;
  for (let m = 0; m < pairs.length; m++) {
    const [a, b] = pairs[m];
    const [c, s] = [cos[at + m], direction * sin[at + m]];
    const [x, y] = [row[a], row[b]];
    row[a] = c * x - s * y;
    row[b] = c * y + s * x;
  }
}
