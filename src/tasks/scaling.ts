/**
 * @file Scaling: time and memory against the length N. Inputs at N = 2^a … 2^b with everything else fixed, and the exponent
 * p of cost ∝ N^p with its standard error: 2 for all pairs, 1 for a state or a window of fixed size.
 */
import { DomainError } from "../base/errors.ts";
import { random } from "../base/random.ts";
import type { Tensor } from "../base/tensor.ts";
import { requireWhole } from "./whole-number.ts";

/** Inputs of one length. */
export interface ScalingCase {
  /** N */
  readonly length: number;
  /** [B, H, N, D] */
  readonly q: Tensor;
  /** [B, H, N, D] */
  readonly k: Tensor;
  /** [B, H, N, E] */
  readonly v: Tensor;
}

/** What stays fixed, and the lengths. */
export interface ScalingSettings {
  /** a: the first length is 2^a. */
  readonly from: number;
  /** b: the last length is 2^b. */
  readonly to: number;
  /** B */
  readonly batch: number;
  /** H */
  readonly heads: number;
  /** D */
  readonly headWidth: number;
  /** E; default D. */
  readonly valueWidth?: number;
}

/**
 * N(0, 1) inputs at N = 2^a, 2^(a+1), … 2^b, made one at a time so that only one length is in memory.
 *
 * @param settings - lengths and fixed sizes
 * @param seed - a length has the same numbers whatever the others are
 * @throws DomainError `bad-setting` or `scaling-range`
 * @example
 * ```ts
 * import { scalingCases } from "qklab/tasks";
 * const settings = { from: 6, to: 8, batch: 1, heads: 2, headWidth: 16 };
 * [...scalingCases(settings, 1)].map(({ length }) => length); // [64, 128, 256]
 * ```
 */
export function scalingCases(settings: ScalingSettings, seed: number): Iterable<ScalingCase> {
  const complete = { ...settings, valueWidth: settings.valueWidth ?? settings.headWidth };
  checkSettings(complete);
  return { [Symbol.iterator]: () => casesOf(complete, seed) };
}

function* casesOf(settings: Required<ScalingSettings>, seed: number): Generator<ScalingCase, void> {
  const { from, to, batch, heads, headWidth, valueWidth } = settings;
  for (let power = from; power <= to; power++) {
    const length = 2 ** power;
    const rng = random(seed, "scaling", length);
    const normal = (width: number): Tensor => ({
      data: rng.normals(batch * heads * length * width),
      shape: [batch, heads, length, width],
    });
    yield { length, q: normal(headWidth), k: normal(headWidth), v: normal(valueWidth) };
  }
}

/** One measurement: milliseconds, bytes, anything that grows. */
export interface ScalingPoint {
  readonly length: number;
  readonly cost: number;
}

/** cost ≈ factor · N^exponent */
export interface ScalingFit {
  readonly exponent: number;
  /** Of the exponent; 0 when the points lie on a line. */
  readonly standardError: number;
  readonly factor: number;
}

/**
 * The exponent of growth: least squares of ln cost on ln N,
 * p = Sxy / Sxx, and its standard error √(Σ residual² / (n − 2) / Sxx).
 *
 * @param points - at least three, of at least two lengths; repeated lengths are repeated measurements
 * @throws DomainError `scaling-points`
 * @example
 * ```ts
 * import { fitExponent } from "qklab/tasks";
 * const points = [64, 128, 256].map((length) => ({ length, cost: 3 * length ** 2 }));
 * fitExponent(points).exponent; // 2, to rounding
 * ```
 */
export function fitExponent(points: readonly ScalingPoint[]): ScalingFit {
  requirePoints(points);
  const xs = points.map(({ length }) => Math.log(length));
  const ys = points.map(({ cost }) => Math.log(cost));
  const meanX = mean(xs);
  const meanY = mean(ys);
  const sxx = sum(xs.map((x) => (x - meanX) ** 2));
  const sxy = sum(xs.map((x, point) => (x - meanX) * (ys[point] - meanY)));
  const exponent = sxy / sxx;
  const intercept = meanY - exponent * meanX;
  const residual = sum(xs.map((x, point) => (ys[point] - intercept - exponent * x) ** 2));
  return {
    exponent,
    standardError: Math.sqrt(residual / (points.length - 2) / sxx),
    factor: Math.exp(intercept),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const mean = (numbers: readonly number[]): number => sum(numbers) / numbers.length;

/** Numbers of one tensor: a Float32Array of 1 GiB. */
const MOST_NUMBERS = 2 ** 28;

function checkSettings(settings: Required<ScalingSettings>): void {
  const { from, to, batch, heads, headWidth, valueWidth } = settings;
  const act = "make scaling cases";
  requireWhole(act, "from", from, 0);
  requireWhole(act, "to", to, from);
  requireWhole(act, "batch", batch, 1);
  requireWhole(act, "heads", heads, 1);
  requireWhole(act, "headWidth", headWidth, 1);
  requireWhole(act, "valueWidth", valueWidth, 1);
  const largest = batch * heads * 2 ** to * Math.max(headWidth, valueWidth);
  if (largest <= MOST_NUMBERS) return;
  throw new DomainError(
    "scaling-range",
    `Cannot ${act} as one tensor may have at most 2^28 numbers: ${batch} × ${heads} × 2^${to} × ` +
      `${Math.max(headWidth, valueWidth)} is more. Lower to, batch or heads`,
  );
}

function requirePoints(points: readonly ScalingPoint[]): void {
  const bad = points.find(
    ({ length, cost }) => !(length > 0 && cost > 0 && Number.isFinite(length) && Number.isFinite(cost)),
  );
  const lengths = new Set(points.map(({ length }) => length)).size;
  if (bad === undefined && points.length >= 3 && lengths >= 2) return;
  throw new DomainError(
    "scaling-points",
    "Cannot fit an exponent as it needs three points of positive length and cost, at two lengths or more: " +
      (bad === undefined
        ? `${points.length} points at ${lengths} lengths`
        : `cost ${bad.cost} at length ${bad.length}`) +
      ". Measure more lengths, or longer ones where the clock shows 0",
  );
}
