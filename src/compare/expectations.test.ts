import { expect, test } from "vitest";
import { sampleComparison, sampleEnd, samplePlan } from "../../test/sample-comparison.ts";
import { type Verdict } from "./expectation.ts";
import { expectations, verdictsOf } from "./expectations.ts";
import { comparisonResults, type ComparisonResults, type RunEnd } from "./results.ts";
import { printVerdicts } from "./verdicts.ts";

const seeds = [0, 1, 2];

function verdict(results: ComparisonResults, id: string): Verdict {
  const found = verdictsOf(results).find((candidate) => candidate.id === id);
  expect(found).toBeDefined();
  return found as Verdict;
}

/** The sample with other accuracies. */
function recallOf(accuracies: Readonly<Record<string, number>>): ComparisonResults {
  const plan = samplePlan({ tasks: ["recall"], similarities: Object.keys(accuracies), seeds });
  const end = (run: (typeof plan.runs)[number]): RunEnd => {
    const sample = sampleEnd(run);
    if (sample.status !== "finished") return sample;
    const metrics = { accuracy: accuracies[run.selector] };
    return { ...sample, measurements: { ...sample.measurements, validation: metrics, test: metrics } };
  };
  return comparisonResults(plan, new Map(plan.runs.map((run) => [run.id, end(run)])));
}

test("recall is solved from an accuracy of 0.95 on, by every distance that was measured", () => {
  const results = recallOf({ dot: 0.95, l2: 1, poincare: 0.94 });
  expect(verdict(results, "dot-solves-recall").status).toBe("holds");
  expect(verdict(results, "distance-solves-recall")).toMatchObject({
    status: "does not hold",
    evidence: [{ value: "1.000 ± 0.000" }, { value: "0.940 ± 0.000" }],
  });
  expect(verdict(results, "cosine-solves-recall").status).toBe("not measured");
});

test.each([
  [{ dot: 1, "dot+none": 0.3 }, "holds"],
  [{ dot: 1, "dot+none": 0.97 }, "does not hold"],
  [{ dot: 0.5, "dot+none": 0.3 }, "undecided"],
  [{ "dot+none": 0.3 }, "not measured"],
])("linear attention with the accuracies %o: %s", (accuracies, status) => {
  expect(verdict(recallOf(accuracies), "linear-fails-recall").status).toBe(status);
});

test("hyperbolic beats Euclidean only beyond the spread, and never with one seed", () => {
  const request = { tasks: ["hierarchy"], similarities: ["l2", "poincare", "cauchy"] };
  expect(verdict(sampleComparison({ ...request, seeds }), "hyperbolic-beats-euclidean-2").status).toBe(
    "holds",
  );
  expect(verdict(sampleComparison({ ...request, seeds: [0] }), "hyperbolic-beats-euclidean-5").status).toBe(
    "undecided",
  );
  const elsewhere = { ...request, seeds, settings: { hierarchy: { width: 3 } } };
  expect(verdict(sampleComparison(elsewhere), "hyperbolic-beats-euclidean-2").status).toBe("not measured");
});

test("a loss that grows beyond the trained length has degraded", () => {
  const results = sampleComparison({
    tasks: ["extrapolation"],
    similarities: ["dot+rope", "dot+alibi"],
    seeds,
  });
  expect(verdict(results, "plain-rope-degrades").status).toBe("holds");
  expect(verdict(results, "alibi-extrapolates").status).toBe("holds");
  const scaled = sampleComparison({
    tasks: ["extrapolation"],
    similarities: ["dot+rope:scaling=ntk,factor=16"],
    seeds,
  });
  expect(verdict(scaled, "plain-rope-degrades").status).toBe("not measured");
});

test("nothing holds in a comparison that measured nothing", () => {
  const plan = samplePlan();
  const statuses = verdictsOf(comparisonResults(plan, new Map())).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set(["not measured"]));
  expect(statuses).toHaveLength(expectations.length);
});

test("nothing is concluded from the preset that only checks that everything runs", () => {
  const statuses = verdictsOf(sampleComparison({ preset: "smoke" })).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set(["not measured"]));
});

test("the lines for a terminal carry the numbers, in both languages", () => {
  const results = recallOf({ dot: 0.96 });
  expect(printVerdicts(results, { language: "en" })).toContain(
    "✓ holds: the dot product solves recall\n    dot 0.960 ± 0.000",
  );
  expect(printVerdicts(results, { language: "zh" })).toContain("✓ 成立：点积能解决联想回忆任务");
});
