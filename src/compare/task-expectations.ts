/** @file What the field knows of the tasks in tokens, as claims: copying, induction, nesting, and what can be learned by heart. */
import { type SelectedParts } from "../attention/index.ts";
import { type Bilingual } from "./bilingual.ts";
import {
  cellsWhere,
  type ColumnSettings,
  type Evidence,
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
} from "./expectation.ts";
import { formatSpread } from "./format.ts";
import { measurement } from "./labels.ts";
import { withBytes } from "./memory-expectations.ts";
import { type ComparisonResults } from "./results.ts";
import { pairedDifference, type SeriesPoint, seriesOf } from "./series.ts";
import { type Spread } from "./spread.ts";

/** The share of the accuracy at the trained length below which induction counts as lost. */
const LOST = 0.9;
/** How many times the trained length "beyond twice" begins at. */
const BEYOND = 4;
/** What one parameter can hold, in bits. */
const CAPACITY = 2;

/** The claims about the tasks in tokens, in the order of reports. */
export const taskExpectations: readonly Expectation[] = [
  solves("copy", "Kitaev et al. 2020 (Reformer)", {
    en: "the dot product repeats a word that it has read once",
    zh: "点积能复述只读过一次的词",
  }),
  {
    id: "linear-fails-copy",
    claim: {
      en: "a state of fixed size (the dot product without a softmax) with fewer key coordinates than a word has symbols does not repeat a word that softmax attention repeats",
      zh: "当键的坐标数少于词的符号数时，固定大小的状态（去掉 softmax 的点积）无法复述 softmax 注意力能复述的词",
    },
    source: "Jelassi et al. 2024",
    test: (results) => {
      const isSmall = (column: ColumnSettings): boolean =>
        keyCoordinates(column) < Number(column.settings["length"]) / 2 - 1;
      const fixed = measuredCells(results, "copy", isLinear, isSmall);
      const growing = measuredCells(results, "copy", isPlainDot, isSmall);
      if (fixed.length === 0 || growing.length === 0) {
        return notMeasured("copy: dot, dot+none (heads × headWidth < length/2 − 1)");
      }
      const evidence = [...fixed, ...growing].map(withBytes);
      if (!growing.every(isSolved)) return { status: "undecided", reason: unsolvedBySoftmax, evidence };
      const status = fixed.some(isSolved) ? "does not hold" : "holds";
      return { status, reason: solvedRule, evidence };
    },
  },
  solves("selective-copy", "Gu & Dao 2023 (Mamba)", {
    en: "the dot product finds the few symbols in a noise, wherever they stand",
    zh: "无论符号在噪声中的何处，点积都能找出它们",
  }),
  solves("induction", "Olsson et al. 2022", {
    en: "two layers of the dot product learn induction",
    zh: "两层点积注意力能学会归纳",
  }),
  {
    id: "rope-loses-induction",
    claim: {
      en: `induction with rotary positions is lost beyond twice the trained length (from ${BEYOND} times on)`,
      zh: `使用旋转位置编码（RoPE）时，超出训练长度两倍之后（从 ${BEYOND} 倍起）归纳能力丧失`,
    },
    source: "Gu & Dao 2023 (Mamba)",
    test: inductionBeyond,
  },
  solves("associative-recall", "Fu et al. 2023 (H3)", {
    en: "the dot product answers the question about pairs",
    zh: "点积能回答关于键值对的提问",
  }),
  {
    id: "nesting-is-hard",
    claim: {
      en: "softmax attention solves flat ListOps better than nested ones",
      zh: "softmax 注意力解决无嵌套的 ListOps 优于有嵌套的",
    },
    source: "Tay et al. 2021 (Long Range Arena)",
    test: (results) =>
      comparedEnds(
        measuredCells(results, "listops", isPlainDot),
        "depthAccuracy",
        "listops: dot",
        (flat, deepest) => {
          const { mean, deviation } = pairedDifference(deepest, flat);
          if (deviation === null) return "undecided";
          return mean < -deviation ? "holds" : "does not hold";
        },
        {
          en: "by the difference between the flat and the deepest expressions beyond its spread over seeds; one seed has none",
          zh: "依据无嵌套与最深嵌套表达式之间的差异是否超出种子间的离散程度；单个种子没有离散程度",
        },
      ),
  },
  {
    id: "two-bits-a-parameter",
    claim: {
      en: `no model stores more than ${CAPACITY} bits of facts in a parameter`,
      zh: `任何模型每个参数存储的事实都不超过 ${CAPACITY} 比特`,
    },
    source: "Allen-Zhu & Li 2024",
    test: (results) => {
      const cells = cellsWhere(results, "facts", () => true).flatMap((cell) => {
        const density = cell.measured["bitsPerParameter"];
        return density === undefined ? [] : [{ cell, density }];
      });
      if (cells.length === 0) return notMeasured("facts");
      return {
        status: cells.every(({ density }) => density.mean <= CAPACITY) ? "holds" : "does not hold",
        reason: {
          en: "bits recovered over all parameters; a model that could store all facts shows less than its capacity",
          zh: "恢复的比特数除以全部参数量；若模型能存下全部事实，则测得的低于其容量",
        },
        evidence: cells.map(({ cell, density }) => ({
          label: evidenceOf(cell).label,
          value: formatSpread(density, 3),
        })),
      };
    },
  },
];

const unsolvedBySoftmax: Bilingual = {
  en: `softmax attention does not reach ${SOLVED} here either, so the task tells nothing about the fixed state`,
  zh: `此处 softmax 注意力也未达到 ${SOLVED}，因此该任务无法说明固定状态的优劣`,
};

const isSolved = ({ spread }: MeasuredCell): boolean => spread.mean >= SOLVED;

/** Coordinates of a layer's keys, over all heads. */
function keyCoordinates({ settings }: ColumnSettings): number {
  const [width, heads, headWidth] = ["width", "heads", "headWidth"].map((name) => Number(settings[name]));
  return headWidth === 0 ? width : heads * headWidth;
}

/** At the widest heads that were compared: what a claim about an attention, not about its width, is about. */
function solves(task: string, source: string, claim: Bilingual): Expectation {
  return {
    id: `dot-solves-${task}`,
    claim,
    source,
    test: (results) => {
      const widest = Math.max(
        ...results.plan.columns.map((column) => (column.task === task ? keyCoordinates(column) : 0)),
      );
      const cells = measuredCells(results, task, isPlainDot, (column) => keyCoordinates(column) === widest);
      if (cells.length === 0) return notMeasured(`${task}: dot`);
      const status = cells.every(isSolved) ? "holds" : "does not hold";
      return { status, reason: solvedRule, evidence: cells.map(evidenceOf) };
    },
  };
}

/** With the task's own position: another one may not tell what the task needs. */
const isPlainDot = (parts: SelectedParts): boolean => isPlain(["dot"])(parts) && parts.position === undefined;

const isRope = (parts: SelectedParts): boolean =>
  isPlain(["dot"])(parts) &&
  parts.position?.name === "rope" &&
  parts.position.options["scaling"] === undefined;

function inductionBeyond(results: ComparisonResults): Finding {
  const cells = measuredCells(results, "induction", isRope).flatMap((cell) => {
    const [trained, ...others] = seriesOf(cell.measured, "accuracy");
    const beyond = others.filter(({ at }) => at >= BEYOND * trained.at);
    return beyond.length === 0 ? [] : [{ cell, points: [trained, ...beyond] }];
  });
  if (cells.length === 0) return notMeasured("induction: dot+rope");
  const evidence = cells.flatMap(({ cell, points }) =>
    points.map((point) => pointEvidence(cell, "accuracy", point)),
  );
  if (!cells.every(({ cell }) => isSolved(cell))) {
    return {
      status: "undecided",
      reason: {
        en: `it is not learned at the trained length either: ${solvedRule.en}`,
        zh: `在训练长度上也未学会：${solvedRule.zh}`,
      },
      evidence,
    };
  }
  const isLost = cells.every(({ points: [trained, ...beyond] }) =>
    beyond.every(({ spread }) => spread.mean < LOST * trained.spread.mean),
  );
  return {
    status: isLost ? "holds" : "does not hold",
    reason: {
      en: `lost means an accuracy below ${LOST} times that at the trained length`,
      zh: `“丧失”指准确率低于训练长度处的 ${LOST} 倍`,
    },
    evidence,
  };
}

/** The first and the last point of a series of every cell. */
function comparedEnds(
  cells: readonly MeasuredCell[],
  series: string,
  needs: string,
  decide: (first: Spread, last: Spread) => Finding["status"],
  reason: Bilingual,
): Finding {
  const ends = cells.flatMap((cell) => {
    const points = seriesOf(cell.measured, series);
    return points.length < 2 ? [] : [{ cell, first: points[0], last: points[points.length - 1] }];
  });
  if (ends.length === 0) return notMeasured(needs);
  const statuses = new Set(ends.map(({ first, last }) => decide(first.spread, last.spread)));
  const worst = (["undecided", "does not hold"] as const).find((status) => statuses.has(status));
  return {
    status: worst ?? "holds",
    reason,
    evidence: ends.flatMap(({ cell, first, last }) =>
      [first, last].map((point) => pointEvidence(cell, series, point)),
    ),
  };
}

function pointEvidence({ selector }: MeasuredCell, series: string, { at, spread }: SeriesPoint): Evidence {
  const along = measurement(series).along ?? { en: "length", zh: "长度" };
  return {
    label: { en: `${selector}, ${along.en} ${at}`, zh: `${selector}，${along.zh} ${at}` },
    value: formatSpread(spread, 3),
  };
}
