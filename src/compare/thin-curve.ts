/** @file Training curves thin enough for a report: means over equal stretches of steps. */
import { type CurvePoint } from "./results.ts";

/** Points of a thinned curve: more than a plot of a few hundred pixels shows is ballast. */
const MOST_POINTS = 100;

/**
 * At most 100 points: each is the mean loss of a stretch of steps, placed at the stretch's last step, so that single
 * batches do not decide what the curve looks like.
 *
 * @param points - in the order of the steps
 */
export function thinCurve(points: readonly CurvePoint[]): readonly CurvePoint[] {
  if (points.length <= MOST_POINTS) return points;
  return Array.from({ length: MOST_POINTS }, (_, stretch) => {
    const from = Math.floor((stretch * points.length) / MOST_POINTS);
    const to = Math.floor(((stretch + 1) * points.length) / MOST_POINTS);
    const part = points.slice(from, to);
    const mean = part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    return { step: part[part.length - 1].step, loss: Number(mean.toPrecision(6)) };
  });
}
