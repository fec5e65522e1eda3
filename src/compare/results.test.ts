import { describe, expect, test } from "vitest";
import { samplePlan } from "../../test/sample-comparison.ts";
import { type PlannedRun } from "./plan.ts";
import { type CellResult, comparisonResults, type RunEnd } from "./results.ts";

const request = {
  preset: "quick",
  tasks: ["recall"],
  similarities: ["dot", "l2", "cosine"],
  learningRates: [0.001, 0.01, 0.1],
} as const;

/** A finished run with these accuracies. */
function finished(validation: number, test = validation): RunEnd {
  return {
    status: "finished",
    measurements: {
      steps: 1,
      validation: { accuracy: validation },
      test: { accuracy: test, entropy: 2 },
      stepMs: 1,
      trainMs: 2,
      notes: [],
      curve: [],
    },
  };
}

const diverged: RunEnd = { status: "diverged", failure: { code: "diverged", message: "NaN" } };
const crashed: RunEnd = { status: "failed", failure: { code: "run-crashed", message: "killed" } };

function cellsWith(
  end: (run: PlannedRun) => RunEnd,
  seeds: readonly number[] = [0, 1, 2],
): Record<string, CellResult> {
  const plan = samplePlan({ ...request, seeds });
  const { cells } = comparisonResults(plan, new Map(plan.runs.map((run) => [run.id, end(run)])));
  return Object.fromEntries(cells.map((cell) => [cell.selector, cell]));
}

describe("the learning rate of a cell", () => {
  test("is the best on validation data, whatever the test says", () => {
    const { dot } = cellsWith(({ learningRate }) =>
      learningRate === 0.01 ? finished(0.9, 0.5) : finished(0.8, 0.99),
    );
    expect(dot).toMatchObject({
      learningRate: 0.01,
      atEdge: null,
      metric: { mean: 0.5 },
      status: "measured",
    });
  });

  test("is not one at which some seeds diverge while others shine", () => {
    const { dot } = cellsWith(({ learningRate, seed }) => {
      if (learningRate === 0.1) return seed === 0 ? diverged : finished(1);
      return finished(learningRate === 0.01 ? 0.7 : 0.6);
    });
    expect(dot.learningRate).toBe(0.01);
    expect(dot.rates.map(({ diverged }) => diverged)).toEqual([0, 0, 1]);
    expect(dot.status).toBe("measured");
  });

  test("is marked when it is the first or the last tried", () => {
    const { dot } = cellsWith(({ learningRate }) => finished(learningRate));
    expect(dot).toMatchObject({ learningRate: 0.1, atEdge: "highest" });
  });

  test("is not chosen by a metric that is no number: such a run has diverged", () => {
    const { dot } = cellsWith(({ learningRate }) => finished(learningRate === 0.1 ? Number.NaN : 0.5));
    expect(dot.learningRate).not.toBe(0.1);
    expect(dot.rates[2].diverged).toBe(3);
  });
});

test("a run without the metric has failed, and its notes say why", () => {
  const { dot } = cellsWith(() => {
    const end = finished(1);
    return end.status === "finished"
      ? { ...end, measurements: { ...end.measurements, test: { loss: 1 }, notes: ["Positions end at 64"] } }
      : end;
  });
  expect(dot).toMatchObject({ status: "failed", failures: [{ code: "metric-missing", diverged: false }] });
  expect(dot.failures[0].message).toMatch(/must measure accuracy: it does not. Positions end at 64$/);
});

describe("ranks", () => {
  const levels: Record<string, number> = { dot: 0.9, l2: 0.895, cosine: 0.5 };
  const noisy = ({ selector, seed }: PlannedRun): RunEnd => finished(levels[selector] + 0.01 * seed);

  test("are shared inside the spread, and no tied cell is the best", () => {
    const { dot, l2, cosine } = cellsWith(noisy);
    expect([dot.rank, l2.rank, cosine.rank]).toEqual([1, 1, 3]);
    expect(dot).toMatchObject({ best: false, tiedWith: ["l2"] });
  });

  test("name a best that is better than all others by more than the spread", () => {
    const { dot } = cellsWith((run) => (run.selector === "l2" ? finished(0.1) : noisy(run)));
    expect(dot).toMatchObject({ rank: 1, best: true, tiedWith: [] });
  });

  test("do not exist with one seed", () => {
    const { dot, cosine } = cellsWith(noisy, [0]);
    expect(dot).toMatchObject({ rank: null, best: false, metric: { deviation: null } });
    expect(cosine.rank).toBeNull();
  });
});

describe("a cell whose runs fail", () => {
  test("is failed when none finished, with each reason once", () => {
    const { dot, l2 } = cellsWith(({ selector, seed }) => {
      if (selector === "l2") return finished(0.5);
      return seed === 0 ? diverged : crashed;
    });
    expect(dot.status).toBe("failed");
    expect(dot.failures.map(({ code, runs, diverged }) => [code, runs, diverged])).toEqual([
      ["diverged", 3, true],
      ["run-crashed", 6, false],
    ]);
    expect(l2.status).toBe("measured");
  });

  test("is partial when some of its runs are missing, and left when nothing of it has run", () => {
    const { dot, l2 } = cellsWith(({ selector, seed }) => {
      if (selector === "dot") return seed === 2 ? crashed : finished(0.5);
      return { status: "left" };
    });
    expect(dot).toMatchObject({ status: "partial", metric: { values: [0.5, 0.5] } });
    expect(l2).toMatchObject({ status: "left", metric: null, learningRate: null });
  });
});

test("a cell shows the means of everything that was measured at the chosen rate", () => {
  const { dot } = cellsWith(() => finished(0.5));
  expect(Object.fromEntries(Object.entries(dot.measured).map(([name, { mean }]) => [name, mean]))).toEqual({
    accuracy: 0.5,
    entropy: 2,
    stepMs: 1,
    trainMs: 2,
  });
});
