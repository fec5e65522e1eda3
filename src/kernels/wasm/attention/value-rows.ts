/**
 * @file Values on their way into a kernel and their gradients on the way back: padded, and for a centroid lifted to the
 * hyperboloid, so that the kernel's weighted sum is all that is left to do.
 */

/** How values are laid out; with a curvature c, time √(1/c + ‖v‖²) and mass 1 follow the coordinates. */
export interface ValueLayout {
  /** E */
  readonly width: number;
  readonly paddedWidth: number;
  readonly curvature?: number;
}

/** Writes values [count, width] to rows of `paddedWidth`, zeros elsewhere. */
export function liftValues(
  source: Float32Array,
  target: Float32Array,
  { width, paddedWidth, curvature }: ValueLayout,
): void {
  if (curvature === undefined) {
    padRows(source, target, width, paddedWidth);
    return;
  }
  target.fill(0);
  for (let row = 0; row * width < source.length; row++) {
    const [from, to] = [row * width, row * paddedWidth];
    for (let e = 0; e < width; e++) target[to + e] = source[from + e];
    target[to + width] = timeOf(source, from, width, curvature);
    target[to + width + 1] = 1;
  }
}

/** Copies rows of `width` to rows of `paddedWidth`, zeros elsewhere. */
export function padRows(
  source: Float32Array,
  target: Float32Array,
  width: number,
  paddedWidth: number,
): void {
  if (width === paddedWidth) {
    target.set(source);
    target.fill(0, source.length);
    return;
  }
  target.fill(0);
  for (let row = 0; row * width < source.length; row++) {
    target.set(source.subarray(row * width, (row + 1) * width), row * paddedWidth);
  }
}

/** What rows that are written find there: zeros, or numbers to add to. */
export type Before = "zeros" | "numbers";

/** Adds rows of `paddedWidth` to rows of `width`. */
export function addRows(
  source: Float32Array,
  into: Float32Array,
  width: number,
  paddedWidth: number,
  before: Before,
): void {
  if (before === "zeros" && width === paddedWidth) {
    into.set(source.subarray(0, into.length));
    return;
  }
  for (let row = 0; row * width < into.length; row++) {
    const [to, from] = [row * width, row * paddedWidth];
    for (let e = 0; e < width; e++) into[to + e] += source[from + e];
  }
}

function timeOf(data: Float32Array, at: number, width: number, curvature: number): number {
  let square = 1 / curvature;
  for (let e = 0; e < width; e++) square += data[at + e] ** 2;
  return Math.sqrt(square);
}

/** Reads the rows of a kernel's sum back, for a centroid divided by its Minkowski length. */
export function finishRows(joined: Float32Array, out: Float32Array, layout: ValueLayout): void {
  const { width, paddedWidth, curvature } = layout;
  for (let row = 0; row * width < out.length; row++) {
    const from = row * paddedWidth;
    const factor =
      curvature === undefined ? 1 : 1 / (Math.sqrt(curvature) * lengthOf(joined, from, width, curvature));
    for (let e = 0; e < width; e++) out[row * width + e] = factor === 0 ? 0 : joined[from + e] * factor;
  }
}

/**
 * √(M₀² − ‖M‖²) of a row, at least mass/√c, which it is in exact arithmetic; infinite for a row without weight, so that
 * everything divided by it is 0.
 */
function lengthOf(joined: Float32Array, at: number, width: number, curvature: number): number {
  const [time, mass] = [joined[at + width], joined[at + width + 1]];
  if (mass === 0) return Infinity;
  let square = time * time;
  for (let e = 0; e < width; e++) square -= joined[at + e] ** 2;
  return Math.sqrt(Math.max(square, (mass * mass) / curvature));
}

/** Rows of less mass have no gradient: its factor 1/mass times values would leave float32. */
const smallestMass = 2 ** -64;

/**
 * The gradient by the kernel's sum, given that by its rows; returns the gradient of c by the last division.
 *
 * @param gradient - [count, width]
 * @param target - [≥ count, paddedWidth]
 */
export function liftOutGradient(
  gradient: Float32Array,
  joined: Float32Array,
  target: Float32Array,
  { width, paddedWidth, curvature }: ValueLayout,
): number {
  if (curvature === undefined) {
    padRows(gradient, target, width, paddedWidth);
    return 0;
  }
  target.fill(0);
  let byCurvature = 0;
  for (let row = 0; row * width < gradient.length; row++) {
    const [from, to] = [row * width, row * paddedWidth];
    const length = lengthOf(joined, to, width, curvature);
    if (!(joined[to + width + 1] >= smallestMass)) continue;
    const scale = 1 / (Math.sqrt(curvature) * length);
    let along = 0;
    for (let e = 0; e < width; e++) along += gradient[from + e] * joined[to + e];
    for (let e = 0; e < width; e++) {
      target[to + e] = scale * (gradient[from + e] + (joined[to + e] * along) / length ** 2);
    }
    target[to + width] = (-scale * along * joined[to + width]) / length ** 2;
    byCurvature -= (0.5 * scale * along) / curvature;
  }
  return byCurvature;
}

/** Adds the gradients of lifted values to those of values, which may be known to be zeros; returns the gradient of c through their times. */
export function pullValues(
  lifted: Float32Array,
  source: Float32Array,
  into: Float32Array,
  { width, paddedWidth, curvature }: ValueLayout,
  before: Before,
): number {
  addRows(lifted, into, width, paddedWidth, before);
  if (curvature === undefined) return 0;
  let byCurvature = 0;
  for (let row = 0; row * width < into.length; row++) {
    const [to, from] = [row * width, row * paddedWidth];
    const time = timeOf(source, to, width, curvature);
    const byTime = lifted[from + width];
    for (let e = 0; e < width; e++) into[to + e] += (byTime * source[to + e]) / time;
    byCurvature -= byTime / (2 * curvature ** 2 * time);
  }
  return byCurvature;
}
