/** @file Measurements at growing sizes: `lossAt128`, `lossAt256`… read as one curve. */
import { type Spread, spreadOf } from "./spread.ts";

/** One point of a curve of measurements. */
export interface SeriesPoint {
  /** The number in the measurement's name: a length. */
  readonly at: number;
  readonly spread: Spread;
}

/**
 * The measurements `<name>At<number>`, in the order of the numbers.
 *
 * @param measured - a cell's measurements
 * @param name - without the number
 */
export function seriesOf(measured: Readonly<Record<string, Spread>>, name: string): readonly SeriesPoint[] {
  return Object.entries(measured)
    .flatMap(([key, spread]) => {
      const [, prefix, number] = /^(.+)At(\d+)$/.exec(key) ?? [];
      return prefix === name ? [{ at: Number(number), spread }] : [];
    })
    .sort((a, b) => a.at - b.at);
}

/** The names of all series among measurements. */
export function seriesNames(measured: Readonly<Record<string, Spread>>): readonly string[] {
  return [...new Set(Object.keys(measured).flatMap((key) => /^(.+)At\d+$/.exec(key)?.[1] ?? []))];
}

/** The difference of two measurements of the same runs, run by run. */
export function pairedDifference(later: Spread, earlier: Spread): Spread {
  return spreadOf(later.values.map((value, seed) => value - earlier.values[seed]));
}
