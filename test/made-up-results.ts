/** @file A comparison of real tasks whose runs all finished with made-up measurements, for tests of verdicts and reports. */
import { type ComparisonRequest, planComparison, type PlannedRun } from "../src/compare/plan.ts";
import { comparisonResults, type ComparisonResults, type RunEnd } from "../src/compare/results.ts";
import { recipeOf } from "../src/train/recipes/index.ts";
import { type Metrics } from "../src/train/trainable.ts";

/**
 * The results of a plan.
 *
 * @param request - on top of the preset quick
 * @param measure - the test metrics of a run; validation has the same
 */
export function madeUpResults(
  request: ComparisonRequest,
  measure: (run: PlannedRun) => Metrics,
): ComparisonResults {
  const plan = planComparison(request, recipeOf);
  const endOf = (run: PlannedRun): RunEnd => {
    const metrics = measure(run);
    return {
      status: "finished",
      measurements: {
        steps: 10,
        validation: metrics,
        test: metrics,
        stepMs: 1,
        trainMs: 10,
        notes: [],
        curve: [{ step: 10, loss: 1 }],
      },
    };
  };
  return comparisonResults(plan, new Map(plan.runs.map((run) => [run.id, endOf(run)])));
}
