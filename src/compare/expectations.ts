/**
 * @file What the field knows, as claims that a comparison can contradict: each is tested on the numbers of the results,
 * and none of them holds where it was not measured.
 */
import { type SelectedParts } from "../attention/index.ts";
import { type Bilingual } from "./bilingual.ts";
import { costExpectations } from "./cost-expectations.ts";
import { expertExpectations } from "./expert-expectations.ts";
import {
  type ColumnSettings,
  evidenceOf,
  type Expectation,
  type Finding,
  isLinear,
  isPlain,
  type MeasuredCell,
  measuredCells,
  notMeasured,
  SOLVED,
  solvedRule,
  type Verdict,
} from "./expectation.ts";
import { formatSpread } from "./format.ts";
import { memoryExpectations } from "./memory-expectations.ts";
import { type ComparisonResults } from "./results.ts";
import { pairedDifference, seriesOf } from "./series.ts";
import { standing } from "./spread.ts";
import { sparseExpectations } from "./sparse-expectations.ts";
import { taskExpectations } from "./task-expectations.ts";

/** The factor by which a loss must grow beyond the trained length to count as degraded. */
const DEGRADED = 1.05;

const hyperbolic = ["poincare", "lorentz", "lorentz-distance"];
const euclidean = ["l2", "rbf"];

/** All expectations, in the order of reports. */
export const expectations: readonly Expectation[] = [
  solvesRecall("dot", ["dot"], {
    en: "the dot product solves recall",
    zh: "点积能解决联想回忆任务",
  }),
  solvesRecall("distance", ["l2", "rbf", "cauchy", "l1", "lorentz", "lorentz-distance", "poincare"], {
    en: "distance attentions (Euclidean, heavy-tailed, hyperbolic) solve recall",
    zh: "基于距离的注意力（欧氏、重尾、双曲）能解决联想回忆任务",
  }),
  solvesRecall("cosine", ["cosine"], {
    en: "cosine attention solves recall",
    zh: "余弦注意力能解决联想回忆任务",
  }),
  {
    id: "linear-fails-recall",
    claim: {
      en: "linear attention (the dot product without a softmax) does not solve recall at equal width",
      zh: "在相同宽度下，线性注意力（去掉 softmax 的点积）不能解决联想回忆任务",
    },
    source: "Arora et al. 2023 (zoology)",
    test: (results) => {
      const linear = recallCells(results, isLinear);
      const softmax = recallCells(results, isPlain(["dot"]));
      if (linear.length === 0 || softmax.length === 0) return notMeasured("recall: dot, dot+none");
      const evidence = [...linear, ...softmax].map(evidenceOf);
      const solves = ({ spread }: MeasuredCell): boolean => spread.mean >= SOLVED;
      if (linear.some(solves)) return { status: "does not hold", reason: solvedRule, evidence };
      if (softmax.every(solves)) return { status: "holds", reason: solvedRule, evidence };
      return { status: "undecided", reason: unsolvedByAll, evidence };
    },
  },
  beatsEuclidean(2),
  beatsEuclidean(5),
  {
    id: "plain-rope-degrades",
    claim: {
      en: "plain rotary positions degrade beyond the trained length",
      zh: "普通旋转位置编码（RoPE）超出训练长度后会退化",
    },
    source: "Press et al. 2022",
    test: (results) => beyondTrainedLength(results, isPlainRope, "rope", (ratio) => ratio >= DEGRADED),
  },
  {
    id: "alibi-extrapolates",
    claim: {
      en: "linear distance biases (ALiBi) do not degrade beyond the trained length",
      zh: "线性距离偏置（ALiBi）超出训练长度后不会退化",
    },
    source: "Press et al. 2022",
    test: (results) =>
      beyondTrainedLength(
        results,
        ({ similarity, position }) => similarity.name === "dot" && position?.name === "alibi",
        "alibi",
        (ratio) => ratio < DEGRADED,
      ),
  },
  ...memoryExpectations,
  ...costExpectations,
  ...sparseExpectations,
  ...taskExpectations,
  ...expertExpectations,
];

/** Tests every expectation on the results. */
export function verdictsOf(results: ComparisonResults): Verdict[] {
  const isCheck = results.plan.preset === "smoke";
  return expectations.map(({ id, claim, source, test }) => ({
    id,
    claim,
    source,
    ...(isCheck ? tooShort : test(results)),
  }));
}

/** The smoke preset checks that everything runs; what its models know after a few steps says nothing. */
const tooShort: Finding = {
  status: "not measured",
  reason: {
    en: "the preset smoke trains too briefly to tell; use quick or full",
    zh: "smoke 预设训练过短，无法判断；请使用 quick 或 full",
  },
  evidence: [],
};

const unsolvedByAll: Bilingual = {
  en: `the dot product does not reach ${SOLVED} here either, so the task tells nothing about the linear one`,
  zh: `此处点积也未达到 ${SOLVED}，因此该任务无法说明线性注意力的优劣`,
};

function solvesRecall(id: string, similarities: readonly string[], claim: Bilingual): Expectation {
  return {
    id: `${id}-solves-recall`,
    claim,
    source: "Arora et al. 2023 (zoology)",
    test: (results) => {
      const cells = recallCells(results, isPlain(similarities));
      if (cells.length === 0) return notMeasured(`recall: ${similarities.join(", ")}`);
      return {
        status: cells.every(({ spread }) => spread.mean >= SOLVED) ? "holds" : "does not hold",
        reason: solvedRule,
        evidence: cells.map(evidenceOf),
      };
    },
  };
}

function beatsEuclidean(width: number): Expectation {
  return {
    id: `hyperbolic-beats-euclidean-${width}`,
    claim: {
      en: `hyperbolic distance beats Euclidean distance on the mammals of WordNet at width ${width}`,
      zh: `在宽度 ${width} 下，双曲距离在 WordNet 哺乳动物层级上优于欧氏距离`,
    },
    source: "Nickel & Kiela 2017, 2018",
    test: (results) => {
      const atWidth = ({ settings }: ColumnSettings): boolean =>
        settings["width"] === width && settings["source"] !== "tree";
      const curved = measuredCells(results, "hierarchy", isPlain(hyperbolic), atWidth);
      const flat = measuredCells(results, "hierarchy", isPlain(euclidean), atWidth);
      const control = measuredCells(results, "hierarchy", isPlain(["cauchy"]), atWidth);
      if (curved.length === 0 || flat.length === 0)
        return notMeasured(`hierarchy@width=${width}: poincare, l2`);
      const [best, rival] = [bestOf(curved), bestOf(flat)];
      const stand = standing(best.spread, rival.spread, best.better);
      const decided = {
        better: "holds",
        tie: "does not hold",
        worse: "does not hold",
        unknown: "undecided",
      } as const;
      return {
        status: decided[stand],
        reason: standingReasons[stand](best.selector, rival.selector),
        evidence: [...curved, ...flat, ...control].map(evidenceOf),
      };
    },
  };
}

const standingReasons = {
  better: (one: string, other: string): Bilingual => ({
    en: `${one} is better than ${other} by more than the spread`,
    zh: `${one} 优于 ${other}，差异大于离散程度`,
  }),
  worse: (one: string, other: string): Bilingual => ({
    en: `${one} is worse than ${other} by more than the spread`,
    zh: `${one} 劣于 ${other}，差异大于离散程度`,
  }),
  tie: (one: string, other: string): Bilingual => ({
    en: `${one} and ${other} differ by no more than the spread: a tie`,
    zh: `${one} 与 ${other} 的差异在离散范围之内：平局`,
  }),
  unknown: (one: string, other: string): Bilingual => ({
    en: `1 seed: no spread, so ${one} and ${other} cannot be ranked`,
    zh: `只有 1 个随机种子，离散程度未知，无法为 ${one} 与 ${other} 排名`,
  }),
};

/** Loss at the longest length against loss at the trained one, of the same trained models. */
function beyondTrainedLength(
  results: ComparisonResults,
  matches: (parts: SelectedParts) => boolean,
  what: string,
  expected: (ratio: number) => boolean,
): Finding {
  const cells = measuredCells(results, "extrapolation", matches).flatMap((cell) => {
    const series = seriesOf(cell.measured, cell.series);
    return series.length < 2 ? [] : [{ ...cell, trained: series[0], longest: series[series.length - 1] }];
  });
  if (cells.length === 0) return notMeasured(`extrapolation: dot+${what}`);
  const holds = cells.every(({ trained, longest }) => {
    const ratio = longest.spread.mean / trained.spread.mean;
    const { mean, deviation } = pairedDifference(longest.spread, trained.spread);
    const isInsideSpread = deviation !== null && Math.abs(mean) <= deviation;
    return expected(isInsideSpread ? 1 : ratio);
  });
  return {
    status: holds ? "holds" : "does not hold",
    reason: {
      en: `degraded means a loss that is at least ${DEGRADED} times that at the trained length, by more than the spread over seeds`,
      zh: `“退化”指损失至少为训练长度处的 ${DEGRADED} 倍，且差异大于种子间的离散程度`,
    },
    evidence: cells.flatMap(({ selector, trained, longest }) =>
      [trained, longest].map(({ at, spread }) => ({
        label: { en: `${selector}, length ${at}`, zh: `${selector}，长度 ${at}` },
        value: formatSpread(spread, 3),
      })),
    ),
  };
}

/** Recall at the widest heads that were compared: what a claim about an attention, not about its width, is about. */
function recallCells(results: ComparisonResults, matches: (parts: SelectedParts) => boolean): MeasuredCell[] {
  const widthOf = ({ settings }: ColumnSettings): number => Number(settings["headWidth"] ?? 0);
  const widest = Math.max(
    ...results.plan.columns.map((column) => (column.task === "recall" ? widthOf(column) : 0)),
  );
  return measuredCells(results, "recall", matches, (column) => widthOf(column) === widest);
}

const isPlainRope = ({ similarity, position }: SelectedParts): boolean =>
  similarity.name === "dot" && position?.name === "rope" && position.options["scaling"] === undefined;

function bestOf(cells: readonly MeasuredCell[]): MeasuredCell {
  const sign = cells[0].better === "higher" ? 1 : -1;
  return cells.reduce((best, cell) => (sign * (cell.spread.mean - best.spread.mean) > 0 ? cell : best));
}
