/**
 * @file A comparison made up from a formula instead of trained, for tests of tables and reports: four tasks, all kinds of
 * endings, numbers that depend only on the plan.
 */
import { random } from "../src/base/random.ts";
import {
  type ComparisonPlan,
  type ComparisonRequest,
  planComparison,
  type PlannedRun,
  type RecipeFacts,
} from "../src/compare/plan.ts";
import { type Preset, type PresetColumn } from "../src/compare/preset.ts";
import { comparisonResults, type ComparisonResults, type RunEnd } from "../src/compare/results.ts";
import { type MetricDefinition } from "../src/train/trainable.ts";

const metrics: Readonly<Record<string, MetricDefinition>> = {
  recall: { name: "accuracy", unit: "accuracy", better: "higher" },
  hierarchy: { name: "meanAveragePrecision", unit: "mAP", better: "higher" },
  language: { name: "bitsPerCharacter", unit: "bits per character", better: "lower" },
  extrapolation: { name: "bitsPerCharacter", unit: "bits per character", better: "lower" },
};

/** Recipes that have settings and rates but train nothing. */
export function sampleRecipes(task: string): RecipeFacts {
  return {
    task,
    metric: metrics[task] ?? { name: "score", unit: "score", better: "higher" },
    unit: task === "hierarchy" ? "pairs" : "tokens",
    comparesPairs: task === "hierarchy",
    settings: (overrides) => ({ steps: 200, ...(task === "hierarchy" ? { width: 5 } : {}), ...overrides }),
    learningRates: () => [0.001, 0.003, 0.01, 0.03],
  };
}

const column = (selectors: readonly string[], settings: PresetColumn["settings"] = {}): PresetColumn => ({
  selectors,
  settings,
  seeds: [0, 1, 2],
  learningRates: { count: 3 },
});

/** A preset that stays as it is when the built-in ones are tuned. */
const samplePreset: Preset = {
  tasks: ["recall", "hierarchy", "language", "extrapolation"],
  columns: {
    recall: column(["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"]),
    hierarchy: column(["l2", "cauchy", "lorentz-distance", "poincare", "cosine"], { width: [2, 5] }),
    language: column(["dot", "l2", "cosine", "lorentz"]),
    extrapolation: column(["dot+rope", "dot+alibi", "dot+nope", "dot+rope:scaling=ntk,factor=16"]),
  },
};

/** How good each attention is in the formula, from 0 to 1. */
const quality: Readonly<Record<string, number>> = {
  dot: 0.96,
  l2: 0.97,
  cosine: 0.955,
  cauchy: 0.95,
  lorentz: 0.94,
  poincare: 0.93,
  "dot+none": 0.2,
  "lorentz-distance": 0.9,
};
const treeQuality: Readonly<Record<string, number>> = {
  l2: 0.12,
  cauchy: 0.2,
  cosine: 0.1,
  poincare: 0.62,
  "lorentz-distance": 0.6,
};

/** A run's end: most finish, `poincare` diverges at the highest rate, `cauchy` on language crashes. */
export function sampleEnd(run: PlannedRun): RunEnd {
  const { task, selector, seed, learningRate, settings } = run;
  if (selector === "poincare" && learningRate >= 0.03) {
    return {
      status: "diverged",
      failure: {
        code: "diverged",
        message: "Cannot go on training as loss and gradient must stay finite: NaN",
      },
    };
  }
  if (selector === "cauchy" && task === "language") {
    return {
      status: "failed",
      failure: {
        code: "run-crashed",
        message: "Cannot finish the run as its process must report a result: it was ended by SIGKILL",
      },
    };
  }
  const draws = random(seed, selector, task, learningRate);
  const noise = 0.01 * draws.normal();
  const offRate = 0.03 * Math.abs(Math.log10(learningRate / 0.003));
  const level =
    (task === "hierarchy"
      ? (treeQuality[selector] ?? 0.3) * (settings["width"] === 2 ? 0.7 : 1)
      : (quality[selector] ?? 0.9)) -
    offRate +
    noise;
  const clipped = Math.min(1, Math.max(0, level));
  const bits = 2 + 3 * (1 - clipped);
  const grows =
    selector === "dot+rope"
      ? 0.35
      : selector.includes("ntk")
        ? 0.08
        : selector.includes("nope")
          ? 0.2
          : -0.02;
  const metric = metrics[task]?.name ?? "score";
  const bitsAt = (index: number): number => bits * (1 + grows * index * index * 0.12);
  const lengths = [32, 64, 128, 256, 512];
  const own: Record<string, number> =
    task === "extrapolation"
      ? {
          bitsPerCharacter: bitsAt(lengths.length - 1),
          ...Object.fromEntries(
            lengths.map((length, index) => [`bitsPerCharacterAt${length}`, bitsAt(index)]),
          ),
        }
      : {
          [metric]: task === "language" ? bits : clipped,
          ...(task === "hierarchy" ? { meanRank: 1 + 100 * (1 - clipped) } : {}),
        };
  const steps = Number(settings["steps"]);
  return {
    status: "finished",
    measurements: {
      steps,
      validation: own,
      test: {
        ...own,
        largestLogit: 4 + 10 * draws.uniform(),
        entropy: 1 + draws.uniform(),
        stateBytes: 1024 * (1 + selector.length),
        parameters: 20_000,
      },
      stepMs: 3 + selector.length / 4 + draws.uniform(),
      trainMs: steps * 4,
      peakMemoryBytes: 90e6 + 1e6 * selector.length,
      notes: [],
      curve: Array.from({ length: 40 }, (_, index) => ({
        step: (index + 1) * (steps / 40),
        loss:
          (5 - 4 * clipped) * (1 + 1.5 * Math.exp(-index / (6 + 20 * offRate))) * (1 + 0.02 * draws.normal()),
      })),
    },
  };
}

/** The sample's plan. */
export function samplePlan(request: ComparisonRequest = {}): ComparisonPlan {
  const [smoke, quick, memory, sparse, full] = Array.from({ length: 5 }, () => samplePreset);
  return planComparison(request, sampleRecipes, { smoke, quick, memory, sparse, full });
}

/** The sample with all runs ended. */
export function sampleComparison(request?: ComparisonRequest): ComparisonResults {
  const plan = samplePlan(request);
  return comparisonResults(plan, new Map(plan.runs.map((run) => [run.id, sampleEnd(run)])));
}
