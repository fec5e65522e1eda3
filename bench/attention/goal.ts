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

export type Goal = TimeGoal | MemoryGoal | ExponentGoal;

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

const roundedPair = ([low, high]: readonly [number, number]): readonly [number, number] => [
  rounded(low),
  rounded(high),
];
