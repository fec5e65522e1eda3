/**
 * @file From finished runs to the table: in every cell the learning rate that is best on validation data, its test
 * metrics as mean and standard deviation over seeds, and ranks within a column in which a difference inside the spread is
 * a tie.
 */
import { type Better, type Metrics } from "../train/trainable.ts";
import { type ComparisonPlan, type PlannedCell, type PlannedColumn, type PlannedRun } from "./plan.ts";
import { type Spread, spreadOf, standing } from "./spread.ts";

/** A point of a training curve. */
export interface CurvePoint {
  readonly step: number;
  readonly loss: number;
}

/** What a finished run measured. */
export interface RunMeasurements {
  readonly steps: number;
  readonly validation: Metrics;
  readonly test: Metrics;
  /** Median time of a step. */
  readonly stepMs: number;
  readonly trainMs: number;
  /** Of the run's own process; absent where it could not be known. */
  readonly peakMemoryBytes?: number;
  /** What a reader must know beside the numbers. */
  readonly notes: readonly string[];
  /** Training loss, thinned out. */
  readonly curve: readonly CurvePoint[];
}

/** Why a run has no measurements. */
export interface RunFailure {
  readonly code: string;
  readonly message: string;
}

/** A failure that one or more runs of a cell share. */
export interface CellFailure extends RunFailure {
  readonly diverged: boolean;
  readonly runs: number;
}

/** How a run ended: `diverged` when its numbers failed, which is an answer; `failed` when it could not be computed. */
export type RunEnd =
  | { readonly status: "finished"; readonly measurements: RunMeasurements }
  | { readonly status: "diverged" | "failed"; readonly failure: RunFailure }
  | { readonly status: "left" };

/** A planned run with its end. */
export type RunResult = PlannedRun & RunEnd;

/** One learning rate of a cell. */
export interface RateResult {
  readonly learningRate: number;
  /** The column's metric, over the seeds that finished; null when none did. */
  readonly validation: Spread | null;
  readonly test: Spread | null;
  readonly finished: number;
  readonly diverged: number;
  readonly failed: number;
  readonly left: number;
}

/** A cell of the table. */
export interface CellResult extends PlannedCell {
  /** `partial`: measured, but some of its runs are missing. `failed`: nothing to show and nothing left to run. */
  readonly status: "measured" | "partial" | "failed" | "left";
  readonly rates: readonly RateResult[];
  /** The rate chosen on validation data; null without any finished run. */
  readonly learningRate: number | null;
  /** Whether the chosen rate is the first or last of three or more, so that a better one may lie outside. */
  readonly atEdge: "lowest" | "highest" | null;
  /** The column's metric on test data at the chosen rate. */
  readonly metric: Spread | null;
  /** Everything measured at the chosen rate: test metrics, stepMs, peakMemoryBytes, trainMs. */
  readonly measured: Readonly<Record<string, Spread>>;
  /** 1 + the number of cells of the column that are better by more than the spread; null when that is not known. */
  readonly rank: number | null;
  /** Whether it is better than every other measured cell of its column, by more than the spread. */
  readonly best: boolean;
  /** Selectors of the cells whose difference to this one is inside the spread. */
  readonly tiedWith: readonly string[];
  /** The different ways in which its runs failed. */
  readonly failures: readonly CellFailure[];
}

/** A comparison's numbers. */
export interface ComparisonResults {
  readonly plan: ComparisonPlan;
  readonly runs: readonly RunResult[];
  readonly cells: readonly CellResult[];
}

/**
 * Joins a plan with how its runs ended.
 *
 * @param plan - all runs
 * @param ends - by run id; runs without an entry are left
 */
export function comparisonResults(
  plan: ComparisonPlan,
  ends: ReadonlyMap<string, RunEnd>,
): ComparisonResults {
  const runs = plan.runs.map((run): RunResult => ({
    ...run,
    ...checkedEnd(ends.get(run.id) ?? { status: "left" }, columnOf(plan, run)),
  }));
  const unranked = plan.cells.map((cell) => cellResult(cell, columnOf(plan, cell), runs));
  const cells = unranked.map((cell) =>
    withRank(
      cell,
      unranked.filter((other) => other.column === cell.column && other !== cell),
      columnOf(plan, cell).metric.better,
    ),
  );
  return { plan, runs, cells };
}

/** The column of a cell. */
export function columnOf(
  { columns }: ComparisonPlan,
  { column }: { readonly column: string },
): PlannedColumn {
  // A plan is made with its columns: every cell has one.
  return columns.find(({ id }) => id === column) as PlannedColumn;
}

/** The finished runs of a cell at one learning rate. */
export function finishedRuns(
  results: Pick<ComparisonResults, "runs">,
  cell: string,
  learningRate: number | null,
): (RunResult & { readonly status: "finished" })[] {
  return results.runs.filter(
    (run): run is RunResult & { readonly status: "finished" } =>
      run.cell === cell && run.learningRate === learningRate && run.status === "finished",
  );
}

/** A run that finished without the metric cannot be compared, and one whose metric is no number has diverged all the same. */
function checkedEnd(end: RunEnd, { metric: { name } }: PlannedColumn): RunEnd {
  if (end.status !== "finished") return end;
  const { validation, test, notes } = end.measurements;
  const bad = [validation, test].find((metrics) => !Number.isFinite(metrics[name]));
  if (bad === undefined) return end;
  if (bad[name] === undefined) {
    const message = [`Cannot compare the run as it must measure ${name}: it does not.`, ...notes].join(" ");
    return { status: "failed", failure: { code: "metric-missing", message } };
  }
  return {
    status: "diverged",
    failure: {
      code: "metric-not-finite",
      message: `Cannot compare the run as its ${name} must be a finite number: ${bad[name]}. Use a lower learning rate`,
    },
  };
}

type Unranked = Omit<CellResult, "rank" | "best" | "tiedWith">;

function cellResult(cell: PlannedCell, { metric }: PlannedColumn, allRuns: readonly RunResult[]): Unranked {
  const runs = allRuns.filter((run) => run.cell === cell.id);
  const rates = cell.learningRates.map((rate) => rateResult(rate, metric.name, runs));
  const chosen = chooseRate(rates, metric.better);
  const learningRate = chosen?.learningRate ?? null;
  const complete = runs.every(({ status }) => status === "finished" || status === "diverged");
  return {
    ...cell,
    status: statusOf(chosen !== undefined, complete && chosen?.finished === cell.seeds.length, runs),
    rates,
    learningRate,
    atEdge: edgeOf(cell.learningRates, learningRate),
    metric: chosen?.test ?? null,
    measured: measuredOf(finishedRuns({ runs }, cell.id, learningRate)),
    failures: distinctFailures(runs),
  };
}

function statusOf(chosen: boolean, complete: boolean, runs: readonly RunResult[]): CellResult["status"] {
  if (chosen) return complete ? "measured" : "partial";
  return runs.some(({ status }) => status === "left") ? "left" : "failed";
}

function rateResult(learningRate: number, metric: string, cellRuns: readonly RunResult[]): RateResult {
  const runs = cellRuns.filter((run) => run.learningRate === learningRate);
  const finished = runs.filter((run) => run.status === "finished");
  const count = (status: RunEnd["status"]): number => runs.filter((run) => run.status === status).length;
  const spread = (part: "validation" | "test"): Spread | null =>
    finished.length === 0 ? null : spreadOf(finished.map(({ measurements }) => measurements[part][metric]));
  return {
    learningRate,
    validation: spread("validation"),
    test: spread("test"),
    finished: finished.length,
    diverged: count("diverged"),
    failed: count("failed"),
    left: count("left"),
  };
}

/**
 * The rate with the best mean on validation data, among those at which most seeds finished: a rate at which one seed is
 * lucky and another diverges is not the better one.
 */
function chooseRate(rates: readonly RateResult[], better: Better): RateResult | undefined {
  const most = Math.max(...rates.map(({ finished }) => finished));
  let best: RateResult | undefined;
  for (const rate of rates) {
    if (rate.validation === null || rate.finished < most) continue;
    const sign = better === "higher" ? 1 : -1;
    const gain = best?.validation ? sign * (rate.validation.mean - best.validation.mean) : Infinity;
    if (gain > 0) best = rate;
  }
  return best;
}

/** Of two rates either is at an edge, which would say nothing. */
function edgeOf(rates: readonly number[], chosen: number | null): CellResult["atEdge"] {
  if (rates.length < 3) return null;
  if (chosen === rates[0]) return "lowest";
  return chosen === rates.at(-1) ? "highest" : null;
}

function measuredOf(runs: readonly (RunResult & { readonly status: "finished" })[]): Record<string, Spread> {
  const records = runs.map(({ measurements: { test, stepMs, peakMemoryBytes, trainMs } }) => ({
    ...test,
    stepMs,
    trainMs,
    ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes }),
  })) as Record<string, number>[];
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  const measured: Record<string, Spread> = {};
  for (const name of names) {
    const values = records.map((record) => record[name]).filter((value) => value !== undefined);
    measured[name] = spreadOf(values);
  }
  return measured;
}

/** Divergences differ in their numbers only, so the first of a cell speaks for all. */
function distinctFailures(runs: readonly RunResult[]): CellFailure[] {
  const failures = new Map<string, CellFailure>();
  for (const run of runs) {
    if (!("failure" in run)) continue;
    const diverged = run.status === "diverged";
    const key = diverged ? run.failure.code : `${run.failure.code}\n${run.failure.message}`;
    const { code, message } = failures.get(key) ?? run.failure;
    failures.set(key, { code, message, diverged, runs: 1 + (failures.get(key)?.runs ?? 0) });
  }
  return [...failures.values()];
}

function withRank(cell: Unranked, others: readonly Unranked[], better: Better): CellResult {
  const { metric } = cell;
  if (metric === null) return { ...cell, rank: null, best: false, tiedWith: [] };
  const standings = others.flatMap((other) =>
    other.metric === null
      ? []
      : [{ selector: other.selector, standing: standing(metric, other.metric, better) }],
  );
  const count = (wanted: string): number => standings.filter(({ standing }) => standing === wanted).length;
  return {
    ...cell,
    rank: metric.deviation === null || count("unknown") > 0 ? null : 1 + count("worse"),
    best: standings.length > 0 && count("better") === standings.length,
    tiedWith: standings.filter(({ standing }) => standing === "tie").map(({ selector }) => selector),
  };
}
