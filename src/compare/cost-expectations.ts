/** @file What the field knows of cost against length: pairs grow as the square of it, a state that every token updates does not. */
import { recurrences } from "../recurrence/index.ts";
import {
  cellsWhere,
  type Evidence,
  evidenceOf,
  type Expectation,
  type Finding,
  isPlain,
  type MeasuredCell,
  measuredCells,
  nameOf,
  notMeasured,
} from "./expectation.ts";
import { measurement } from "./labels.ts";
import { type ComparisonResults } from "./results.ts";
import { seriesOf } from "./series.ts";
import { type Spread, standing, type Standing } from "./spread.ts";

const rules: ReadonlySet<string> = new Set(recurrences.map(({ definition }) => definition.selector));
const isRecurrent = (selector: string): boolean => rules.has(nameOf(selector));

/** The claims about cost, in the order of reports. */
export const costExpectations: readonly Expectation[] = [
  {
    id: "recurrences-grow-slowly",
    claim: {
      en: "the time of a recurrence grows more slowly with the length than that of softmax attention over all pairs",
      zh: "循环规则的时间随长度的增长慢于对所有配对做 softmax 的注意力",
    },
    source: "Katharopoulos et al. 2020 (linear attention)",
    test: (results) => {
      const pairs = pairsOf(results);
      if (pairs.length === 0) return notMeasured("scaling: dot, linear");
      const found = pairs.map(({ one, other }) => standing(one.spread, other.spread, "lower"));
      return {
        status: statusOf(found, "does not hold"),
        reason: {
          en: "the exponent p of time ∝ N^p, smaller by more than the spread; one seed has none",
          zh: "时间 ∝ N^p 的指数 p，须小于对方且差异超出离散程度；单个种子没有离散程度",
        },
        evidence: evidenceOfAll(pairs, evidenceOf),
      };
    },
  },
  {
    id: "recurrences-overtake",
    claim: {
      en: "from some length on a recurrence takes less time than softmax attention over all pairs",
      zh: "从某个长度起，循环规则所需时间少于对所有配对做 softmax 的注意力",
    },
    source: "Katharopoulos et al. 2020 (linear attention)",
    test: (results) => {
      const pairs = pairsOf(results).filter(
        ({ one, other }) => timesOf(one).length * timesOf(other).length > 0,
      );
      if (pairs.length === 0) return notMeasured("scaling: dot, linear");
      const found = pairs.map(({ one, other }) =>
        standing(timesOf(one).at(-1)!.spread, timesOf(other).at(-1)!.spread, "lower"),
      );
      return {
        // A length that is longer than those measured may be the one.
        status: statusOf(found, "undecided"),
        reason: {
          en: "time at the longest length, less by more than the spread; where it is not, longer ones may decide",
          zh: "最长长度处的时间，须更少且差异超出离散程度；否则可由更长的长度判定",
        },
        evidence: evidenceOfAll(pairs, timeEvidence),
      };
    },
  },
];

/** A recurrence and what it is held against in its column. */
interface CellPair {
  readonly one: MeasuredCell;
  readonly other: MeasuredCell;
}

function pairsOf(results: ComparisonResults): CellPair[] {
  const allPairs = measuredCells(
    results,
    "scaling",
    (parts) =>
      isPlain(["dot"])(parts) && parts.patterns.every(({ name }) => name === "causal" || name === "full"),
  );
  return cellsWhere(results, "scaling", isRecurrent).flatMap((one) =>
    allPairs.filter(({ column }) => column === one.column).map((other) => ({ one, other })),
  );
}

const timesOf = ({ measured }: MeasuredCell): readonly { readonly at: number; readonly spread: Spread }[] =>
  seriesOf(measured, "timeMs");

/** The time at the longest length. */
function timeEvidence({ selector, ...cell }: MeasuredCell): Evidence {
  const { at, spread } = timesOf({ selector, ...cell }).at(-1)!;
  return {
    label: { en: `${selector}, length ${at}`, zh: `${selector}，长度 ${at}` },
    value: measurement("timeMs").format(spread.mean),
  };
}

function statusOf(found: readonly Standing[], otherwise: Finding["status"]): Finding["status"] {
  if (found.some((one) => one === "worse" || one === "tie")) return otherwise;
  return found.includes("unknown") ? "undecided" : "holds";
}

/** Every cell of the pairs once. */
function evidenceOfAll(
  pairs: readonly CellPair[],
  show: (cell: MeasuredCell) => Evidence,
): readonly Evidence[] {
  const cells = new Map(pairs.flatMap(({ one, other }) => [one, other]).map((cell) => [cell.id, cell]));
  return [...cells.values()].map(show);
}
