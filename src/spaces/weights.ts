/** @file The rule on the weights of a mean of points. */
import { DomainError, ShapeError } from "../base/errors.ts";
import { requireVectors, type Vector } from "./vector.ts";

/**
 * Checks that a weighted mean of the points exists.
 *
 * @throws ShapeError `weights` when there is no point, or not one weight a point
 * @throws ShapeError `vector-width` when the points differ in width
 * @throws DomainError `weights` when a weight is below zero or not finite, or all are zero
 */
export function requireWeights(points: readonly Vector[], weights: Vector): void {
  if (points.length === 0 || points.length !== weights.length) {
    throw new ShapeError(
      "weights",
      `Cannot take a mean as it needs points, and one weight for each: ${points.length} points, ` +
        `${weights.length} weights. Pass as many weights as points`,
    );
  }
  requireVectors("take a mean", points[0], ...points);
  let sum = 0;
  for (let index = 0; index < weights.length; index++) {
    if (weights[index] >= 0) sum += weights[index];
    else sum = Number.NaN;
  }
  if (sum > 0 && sum < Infinity) return;
  throw new DomainError(
    "weights",
    `Cannot take a mean as its weights must be finite, at least zero and not all zero: ${Array.from(weights).join(", ")}. ` +
      "Leave points without weight out, or give one of them a weight",
  );
}
