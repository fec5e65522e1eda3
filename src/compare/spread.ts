/**
 * @file Means over seeds and the rule that decides between two of them: a difference is a difference only when it is larger
 * than the larger of the two standard deviations.
 */
import { type Better } from "../train/trainable.ts";

/** A measurement over seeds. */
export interface Spread {
  readonly mean: number;
  /** Sample standard deviation (n − 1); null for one seed, whose spread nobody knows. */
  readonly deviation: number | null;
  /** One for each seed, in the order of the seeds. */
  readonly values: readonly number[];
}

/**
 * Mean and sample standard deviation √(Σ(x − x̄)²/(n − 1)).
 *
 * @param values - one for each seed, at least one
 */
export function spreadOf(values: readonly number[]): Spread {
  // Shifted by the first value, so that equal values have exactly that mean and no deviation.
  const [first] = values;
  const mean = first + values.reduce((sum, value) => sum + (value - first), 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)), values };
}

/** How one measurement stands to another. `unknown`: one of them has a single seed. */
export type Standing = "better" | "worse" | "tie" | "unknown";

/**
 * Compares two means: a tie when |x̄ − ȳ| ≤ max(σ_x, σ_y).
 *
 * @param better - which way the metric is better
 */
export function standing(one: Spread, other: Spread, better: Better): Standing {
  if (one.deviation === null || other.deviation === null) return "unknown";
  const gain = better === "higher" ? one.mean - other.mean : other.mean - one.mean;
  // NaN compares false with everything: a mean that is no number never wins and never ties.
  if (Math.abs(gain) <= Math.max(one.deviation, other.deviation)) return "tie";
  if (gain > 0) return "better";
  return gain < 0 ? "worse" : "unknown";
}
