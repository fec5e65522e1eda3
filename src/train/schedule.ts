/** @file The learning rate of a step: linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017). */

/** A learning rate over a run. */
export interface Schedule {
  /** The largest rate, reached when the warm-up ends. */
  readonly peak: number;
  readonly steps: number;
  /** Steps of the warm-up; 0 starts at the peak. */
  readonly warmUp: number;
}

/**
 * The rate of one step: peak·(step+1)/warmUp, then peak·(1 + cos(π·t))/2 with t from 0 to 1 over the rest.
 *
 * @param step - from 0
 */
export function learningRateAt({ peak, steps, warmUp }: Schedule, step: number): number {
  if (step < warmUp) return (peak * (step + 1)) / warmUp;
  const done = (step - warmUp) / Math.max(1, steps - warmUp);
  return peak * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, done)));
}
