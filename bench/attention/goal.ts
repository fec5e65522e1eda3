/** @file What is to be reached, and whether it was. */
import { type Times } from "../rounds.ts";

/** A time of ours against another: `ratio` is peer time over ours, or the share of a limit. */
export interface TimeGoal {
  readonly kind: "time";
  readonly name: string;
  readonly against: string;
  readonly case: string;
  readonly ours_ms: number;
  readonly ours_quartiles_ms: readonly [number, number];
  readonly peer_ms: number;
  readonly peer_quartiles_ms: readonly [number, number];
  readonly ratio: number;
  readonly goal: number;
  /** null where the sizes are too small for the goal to mean anything. */
  readonly reached: boolean | null;
}

/** Memory below a limit: `ratio` is the limit over ours. */
export interface MemoryGoal {
  readonly kind: "memory";
  readonly name: string;
  readonly against: string;
  readonly case: string;
  readonly ours_mb: number;
  readonly limit_mb: number;
  readonly ratio: number;
  readonly goal: number;
  readonly reached: boolean | null;
}

/** The power of N that the time grows with. */
export interface ExponentGoal {
  readonly kind: "exponent";
  readonly name: string;
  readonly against: string;
  readonly case: string;
  readonly exponent: number;
  readonly goal: number;
  readonly tolerance: number;
  readonly reached: boolean | null;
}

/** Tokens a second of ours against others', or against a rate that is promised and has no spread: `ratio` is ours over it. */
export interface RateGoal {
  readonly kind: "rate";
  readonly name: string;
  readonly against: string;
  readonly case: string;
  readonly ours_per_s: number;
  readonly ours_quartiles_per_s: readonly [number, number];
  readonly peer_per_s: number;
  readonly peer_quartiles_per_s: readonly [number, number] | null;
  readonly ratio: number;
  readonly goal: number;
  readonly reached: boolean | null;
}

export type Goal = TimeGoal | MemoryGoal | ExponentGoal | RateGoal;

/** What a goal is about. */
export interface GoalTitle {
  readonly against: string;
  readonly case: string;
  readonly goal: number;
}

const nameOf = ({ against, case: of }: GoalTitle): string => `${against}: ${of}`;

/** A goal of time; the ratio is that of the medians. */
export function timeGoal(title: GoalTitle, ours: Times, peer: Times, counts: boolean): TimeGoal {
  const ratio = peer.medianMs / ours.medianMs;
  return {
    kind: "time",
    name: nameOf(title),
    against: title.against,
    case: title.case,
    ours_ms: rounded(ours.medianMs),
    ours_quartiles_ms: roundedPair(ours.quartilesMs),
    peer_ms: rounded(peer.medianMs),
    peer_quartiles_ms: roundedPair(peer.quartilesMs),
    ratio: rounded(ratio),
    goal: title.goal,
    reached: counts ? ratio >= title.goal : null,
  };
}

/** A goal of memory, in millions of bytes. */
export function memoryGoal(
  title: GoalTitle,
  oursBytes: number,
  limitBytes: number,
  counts: boolean,
): MemoryGoal {
  const ratio = limitBytes / oursBytes;
  return {
    kind: "memory",
    name: nameOf(title),
    against: title.against,
    case: title.case,
    ours_mb: rounded(oursBytes / 1e6),
    limit_mb: rounded(limitBytes / 1e6),
    ratio: rounded(ratio),
    goal: title.goal,
    reached: counts ? ratio >= title.goal : null,
  };
}

/** A goal of growth. */
export function exponentGoal(
  title: GoalTitle,
  exponent: number,
  tolerance: number,
  counts: boolean,
): ExponentGoal {
  return {
    kind: "exponent",
    name: nameOf(title),
    against: title.against,
    case: title.case,
    exponent: rounded(exponent),
    goal: title.goal,
    tolerance,
    reached: counts ? Math.abs(exponent - title.goal) <= tolerance : null,
  };
}

/** So many of something a second. */
export interface PerSecond {
  readonly median: number;
  readonly quartiles: readonly [number, number];
}

/** The rate of runs that each did `count`. */
export function perSecond(count: number, { medianMs, quartilesMs: [fast, slow] }: Times): PerSecond {
  const rate = (milliseconds: number): number => (1000 * count) / milliseconds;
  return { median: rate(medianMs), quartiles: [rate(slow), rate(fast)] };
}

/** A goal of speed; the ratio is that of the medians. */
export function rateGoal(
  title: GoalTitle,
  ours: PerSecond,
  peer: PerSecond | number,
  counts: boolean,
): RateGoal {
  const theirs = typeof peer === "number" ? peer : peer.median;
  const ratio = ours.median / theirs;
  return {
    kind: "rate",
    name: nameOf(title),
    against: title.against,
    case: title.case,
    ours_per_s: rounded(ours.median),
    ours_quartiles_per_s: roundedPair(ours.quartiles),
    peer_per_s: rounded(theirs),
    peer_quartiles_per_s: typeof peer === "number" ? null : roundedPair(peer.quartiles),
    ratio: rounded(ratio),
    goal: title.goal,
    reached: counts ? ratio >= title.goal : null,
  };
}

/** The slope of log time over log N, by least squares. */
export function exponentOf(points: readonly { readonly length: number; readonly timeMs: number }[]): number {
  const logs = points.map(({ length, timeMs }) => [Math.log(length), Math.log(timeMs)] as const);
  const mean = (place: 0 | 1): number => logs.reduce((sum, log) => sum + log[place], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const [above, below] = logs.reduce(
    ([a, b], [x, y]) => [a + (x - meanX) * (y - meanY), b + (x - meanX) ** 2],
    [0, 0],
  );
  return above / below;
}

/** Four digits are more than a measurement has. */
export const rounded = (value: number): number => Number(value.toPrecision(4));

export const roundedPair = ([low, high]: readonly [number, number]): readonly [number, number] => [
  rounded(low),
  rounded(high),
];
