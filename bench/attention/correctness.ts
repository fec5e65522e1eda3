/**
 * @file Correctness before speed: our kernels against the f64 reference, at a small size whole and at the timed size in its
 * last rows; all others against our results of the same problem.
 */
import {
  compose,
  type Composition,
  hyperboloidDistance,
  hyperboloidLog,
  hyperboloidPoint,
  parseSelector,
  referenceBackward,
  referenceForward,
  type Tensor,
  widen,
} from "../../src/index.ts";
import { guards } from "../../src/similarities/index.ts";
import { type AttentionProblem, type TensorProblem } from "../protocol.ts";
import { inputsOf } from "./problems.ts";

/**
 * The largest error over the largest number of a tensor. float32 has 24 bits and sums of thousands of its products lose
 * some ten of them; exponentials and hyperbolic functions of large scores lose some more. What is wrong in a mask, a scale
 * or a layout is of the size of the numbers themselves.
 */
export const errorTolerance = 2e-3;

/**
 * A sum of tangent vectors at a mean is zero; an iteration that stops early, or in float32, leaves this share of the
 * vectors' own lengths.
 */
export const meanTolerance = 1e-2;

/** At this length every pattern of the benchmark leaves something out. */
const wholeLength = 321;
const lastRows = 2;

/** Tensors by name, [batch, heads, length, width]. */
export type Results = Readonly<Record<string, Float32Array>>;

/** A small problem of the same attention, whose results can be compared whole. */
export function smallForm<P extends TensorProblem>(problem: P): P {
  return { ...problem, batch: 1, heads: 2, length: wholeLength };
}

/** The error of our results of a {@link smallForm} against the reference. */
export function errorOfSmall(problem: AttentionProblem, results: Results): number {
  const composition = composed(problem);
  const inputs = tensorsOf(problem);
  const options = { guard: guards.f32 };
  const errors = [relativeError(referenceForward(composition, inputs, options).out.data, results["out"])];
  if (problem.direction === "both") {
    const { dq, dk, dv } = referenceBackward(composition, inputs, widen(inputs.dOut), options);
    errors.push(
      relativeError(dq.data, results["dq"]),
      relativeError(dk.data, results["dk"]),
      relativeError(dv.data, results["dv"]),
    );
  }
  return Math.max(...errors);
}

/** The error of the last rows of the last head at the timed size. */
export function errorOfLastRows(problem: AttentionProblem, results: Results): number {
  const { length, width } = problem;
  const { q, k, v } = inputsOf(problem);
  const tail = (data: Float32Array, count: number): Tensor => ({
    data: data.subarray(data.length - count * width),
    shape: [1, 1, count, width],
  });
  const expected = referenceForward(
    composed(problem),
    { q: tail(q, lastRows), k: tail(k, length), v: tail(v, length), offset: length - lastRows },
    { guard: guards.f32 },
  ).out.data;
  const out = results["out"];
  return relativeError(expected, out.subarray(out.length - lastRows * width));
}

/** The largest error of another's results against ours. */
export function errorAgainst(ours: Results, theirs: Results): number {
  return Math.max(...Object.entries(ours).map(([name, expected]) => relativeError(expected, theirs[name])));
}

/**
 * How far rows are from the Fréchet mean of the values under the weights of the reference: ‖Σ w log_m v‖ / Σ w ‖log_m v‖.
 * For a contestant that joins by this mean.
 */
export function distanceFromFrechetMean(problem: AttentionProblem, theirs: Results): number {
  const { length, width } = problem;
  const { q, k, v } = inputsOf(problem);
  const tail = (data: Float32Array, count: number): Tensor => ({
    data: data.subarray(data.length - count * width),
    shape: [1, 1, count, width],
  });
  const weights = referenceForward(composed(problem), {
    q: tail(q, lastRows),
    k: tail(k, length),
    v: tail(v, length),
    offset: length - lastRows,
  }).weights.data;
  const values = Array.from({ length }, (_, key) => {
    const start = v.length - (length - key) * width;
    return hyperboloidPoint(v.subarray(start, start + width), 1);
  });
  const rows = Array.from({ length: lastRows }, (_, row) => {
    const end = theirs["out"].length - (lastRows - 1 - row) * width;
    const mean = hyperboloidPoint(theirs["out"].subarray(end - width, end), 1);
    const sum = new Float64Array(width + 1);
    let lengths = 0;
    values.forEach((value, key) => {
      const weight = weights[row * length + key];
      hyperboloidLog(mean, value, 1).forEach((part, d) => (sum[d] += weight * part));
      lengths += weight * hyperboloidDistance(mean, value, 1);
    });
    return Math.hypot(...sum) / lengths;
  });
  return Math.max(...rows);
}

function composed({ selector }: AttentionProblem): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
}

function tensorsOf(problem: AttentionProblem): Record<"q" | "k" | "v" | "dOut", Tensor> {
  const { batch, heads, length, width } = problem;
  const shape = [batch, heads, length, width];
  return Object.fromEntries(
    Object.entries(inputsOf(problem)).map(([name, data]): [string, Tensor] => [name, { data, shape }]),
  ) as unknown as Record<"q" | "k" | "v" | "dOut", Tensor>;
}

/** NaN, or numbers that are missing, are as wrong as can be. */
export function relativeError(
  expected: Float32Array | Float64Array,
  given: Float32Array | undefined,
  scale: number = largest(expected),
): number {
  if (given?.length !== expected.length) return Infinity;
  let worst = 0;
  for (let place = 0; place < expected.length; place++) {
    const error = Math.abs(given[place] - expected[place]);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error;
  }
  return worst / scale;
}

function largest(numbers: Float32Array | Float64Array): number {
  let most = 0;
  for (const number of numbers) most = Math.max(most, Math.abs(number));
  return most;
}
