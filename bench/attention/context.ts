/** @file What every part of the benchmark is given: sizes, contestants, and where findings go. */
import { type ContestantName, type Places, type Roster } from "../roster.ts";
import { type Goal } from "./goal.ts";
import { type Absence, type CurvePoint, type Wrong } from "./report.ts";

/** Findings as they come. */
export interface Findings {
  readonly goals: Goal[];
  readonly absent: Absence[];
  readonly wrong: Wrong[];
  readonly curves: CurvePoint[];
  readonly facts: Record<string, number>;
}

/** What a part may use. */
export interface Context {
  readonly roster: Roster;
  /** A folder for files of tensors. */
  readonly folder: string;
  readonly places: Places;
  readonly rounds: number;
  readonly threads: number;
  /** Sizes that take seconds; no goal counts. */
  readonly isSmall: boolean;
  readonly findings: Findings;
  /** Title of a contestant. */
  readonly titleOf: (name: ContestantName) => string;
  /** Tells the person who waits. */
  readonly progress: (text: string) => void;
}

/** One part of the benchmark. */
export interface Part {
  readonly name: string;
  /** Whether it needs contestants that are not the project's own. */
  readonly hasPeers: boolean;
  readonly run: (context: Context) => Promise<void>;
}
