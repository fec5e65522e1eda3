/** @file Numbers about a run: medians, speed and time left, and what the scores of its attentions look like. */

/** The middle of the numbers, or the mean of the middle two; NaN for none. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) return Number.NaN;
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The speed of a run, as progress lines show it. */
export interface Pace {
  readonly itemsPerSecond: number;
  readonly timeLeftMs: number;
}

/** How many of the last steps the speed is measured on. */
const recentSteps = 20;

/** Follows the speed of a run. The first step compiles, so it says nothing about the others once there are others. */
export function paceMeter(steps: number): (step: number, items: number, timeMs: number) => Pace {
  const recent: { items: number; timeMs: number }[] = [];
  let seen = 0;
  return (step, items, timeMs) => {
    seen += 1;
    if (seen === 2) recent.length = 0;
    recent.push({ items, timeMs });
    if (recent.length > recentSteps) recent.shift();
    const spentMs = recent.reduce((sum, { timeMs }) => sum + timeMs, 0);
    const done = recent.reduce((sum, { items }) => sum + items, 0);
    return {
      itemsPerSecond: spentMs === 0 ? 0 : (1000 * done) / spentMs,
      timeLeftMs: median(recent.map(({ timeMs }) => timeMs)) * (steps - step - 1),
    };
  };
}

/** A share of right answers. */
export function accuracy(predicted: ArrayLike<number>, targets: ArrayLike<number>): number {
  let right = 0;
  for (let place = 0; place < targets.length; place++) {
    if (predicted[place] === targets[place]) right += 1;
  }
  return right / targets.length;
}

/** The mean, summed in f64. */
export function mean(numbers: ArrayLike<number>): number {
  let sum = 0;
  for (let place = 0; place < numbers.length; place++) sum += numbers[place];
  return sum / numbers.length;
}
