/** @file A comparison as `report.json`: everything that the report shows, for programs. */
import { type Verdict } from "./expectation.ts";
import { verdictsOf } from "./expectations.ts";
import { type PlannedColumn } from "./plan.ts";
import { type CellResult, type ComparisonResults, type RunResult } from "./results.ts";
import { rankRule } from "./table-text.ts";

/** Facts about the machine and the program, as text or numbers. */
export type Environment = Readonly<object>;

/** The contents of `report.json`; numbers that are not finite are written as strings. */
export interface ComparisonReport {
  readonly schema: "qklab-comparison-report";
  readonly version: 1;
  /** When the report was written, ISO 8601. */
  readonly created: string;
  readonly environment: Environment;
  readonly plan: { readonly preset: string; readonly id: string; readonly columns: readonly PlannedColumn[] };
  readonly cells: readonly CellResult[];
  readonly runs: readonly RunResult[];
  readonly verdicts: readonly Verdict[];
  /** The rule by which ranks and ties were decided. */
  readonly rankRule: string;
}

/** Puts a report together. */
export function comparisonReport(
  { plan, cells, runs }: ComparisonResults,
  environment: Environment,
  date: Date,
): ComparisonReport {
  return {
    schema: "qklab-comparison-report",
    version: 1,
    created: date.toISOString(),
    environment,
    plan: { preset: plan.preset, id: plan.id, columns: plan.columns },
    cells,
    runs,
    verdicts: verdictsOf({ plan, cells, runs }),
    rankRule: rankRule.en,
  };
}
