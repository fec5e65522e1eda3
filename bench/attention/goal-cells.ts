/** @file A goal as the cells of a table, for the terminal and for the document. */
import { type Goal } from "./goal.ts";

/** The columns of {@link goalCells}. */
export const goalColumns: readonly { readonly title: string; readonly isNumber: boolean }[] = [
  { title: "against", isNumber: false },
  { title: "case", isNumber: false },
  { title: "ours", isNumber: true },
  { title: "theirs", isNumber: true },
  { title: "ratio", isNumber: true },
  { title: "goal", isNumber: true },
  { title: "reached", isNumber: false },
];

/** One row. */
export function goalCells(goal: Goal): readonly string[] {
  const reached = goal.reached === null ? "too small to tell" : goal.reached ? "yes" : "no";
  const start = [goal.against, goal.case];
  switch (goal.kind) {
    case "time":
      return [
        ...start,
        milliseconds(goal.ours_ms, goal.ours_quartiles_ms),
        milliseconds(goal.peer_ms, goal.peer_quartiles_ms),
        short(goal.ratio),
        `≥ ${goal.goal}`,
        reached,
      ];
    case "rate":
      return [
        ...start,
        tokensPerSecond(goal.ours_per_s, goal.ours_quartiles_per_s),
        tokensPerSecond(goal.peer_per_s, goal.peer_quartiles_per_s),
        short(goal.ratio),
        `≥ ${goal.goal}`,
        reached,
      ];
    case "memory":
      return [
        ...start,
        `${short(goal.ours_mb)} MB`,
        `${short(goal.limit_mb)} MB`,
        short(goal.ratio),
        `≥ ${goal.goal}`,
        reached,
      ];
    case "exponent":
      return [...start, short(goal.exponent), "", "", `${goal.goal} ± ${goal.tolerance}`, reached];
  }
}

/** A median with its quartiles. */
export function milliseconds(median: number, quartiles: readonly [number, number]): string {
  return `${withSpread(median, quartiles)} ms`;
}

/** A median with its quartiles, where it has any. */
export function tokensPerSecond(median: number, quartiles: readonly [number, number] | null): string {
  return `${quartiles === null ? short(median) : withSpread(median, quartiles)} tokens/s`;
}

const withSpread = (median: number, [low, high]: readonly [number, number]): string =>
  `${short(median)} (${short(low)}–${short(high)})`;

/** Three digits, without an exponent. */
const short = (value: number): string => String(Number(value.toPrecision(3)));
