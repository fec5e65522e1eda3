/** @file What the field knows of attentions that leave out pairs, on the word that is to be repeated: which choices keep what is asked for. */
import { parseSelector, type SelectedParts } from "../attention/index.ts";
import { type Bilingual } from "./bilingual.ts";
import {
  type ColumnSettings,
  evidenceOf,
  type Expectation,
  isPlain,
  type MeasuredCell,
  measuredCells,
  notMeasured,
  SOLVED,
  solvedRule,
} from "./expectation.ts";
import { columnOf } from "./results.ts";

const isAllPairs = (parts: SelectedParts): boolean =>
  isPlain(["dot"])(parts) &&
  parts.position === undefined &&
  parts.patterns.every(({ name }) => name === "causal");

const isSolved = ({ spread }: MeasuredCell): boolean => spread.mean >= SOLVED;

/** The claims about choices of pairs, in the order of reports. */
export const sparseExpectations: readonly Expectation[] = [
  choiceKeepsCopy("topk", "Gupta et al. 2021", {
    en: "attention to the keys with the largest scores alone repeats a word that attention to all of them repeats",
    zh: "只关注分数最大的键，也能复述关注全部键时能复述的词",
  }),
  choiceKeepsCopy("lsh", "Kitaev et al. 2020 (Reformer)", {
    en: "keys that hashing finds (LSH) are enough to repeat a word that attention to all of them repeats",
    zh: "哈希（LSH）找到的键足以复述关注全部键时能复述的词",
  }),
  choiceKeepsCopy("moba", "Lu et al. 2025 (MoBA)", {
    en: "blocks chosen by their mean key (MoBA) are enough to repeat a word that attention to all keys repeats",
    zh: "按平均键选出的块（MoBA）足以复述关注全部键时能复述的词",
  }),
  {
    id: "window-loses-copy",
    claim: {
      en: "windows that reach less far than a word is long, over all layers together, do not repeat it",
      zh: "各层窗口合计的范围短于一个词时，无法复述该词",
    },
    source: "Beltagy et al. 2020 (Longformer), section 3.1",
    test: (results) => {
      const cells = measuredCells(results, "copy", isWindow).filter((cell) => {
        const column = columnOf(results.plan, cell);
        return reachOf(cell, column) < wordOf(column);
      });
      if (cells.length === 0)
        return notMeasured("copy: dot+causal+window:w=8 (layers × (w − 1) < length/2 − 1)");
      return {
        status: cells.some(isSolved) ? "does not hold" : "holds",
        reason: solvedRule,
        evidence: cells.map(evidenceOf),
      };
    },
  },
];

const isWindow = (parts: SelectedParts): boolean =>
  isPlain(["dot"])(parts) && parts.patterns.some(({ name }) => name === "window");

/** How many places back all layers together see. */
function reachOf({ selector }: MeasuredCell, { settings }: ColumnSettings): number {
  const windows = parseSelector(selector).patterns.filter(({ name }) => name === "window");
  return Number(settings["layers"]) * (Math.min(...windows.map(({ options }) => Number(options["w"]))) - 1);
}

/** Symbols of the word, and so many places back the one that is asked for stands. */
const wordOf = ({ settings }: ColumnSettings): number => Number(settings["length"]) / 2 - 1;

/** A selection beside attention to all keys, in the same columns; where that fails too, nothing is told. */
function choiceKeepsCopy(selected: string, source: string, claim: Bilingual): Expectation {
  return {
    id: `${selected}-keeps-copy`,
    claim,
    source,
    test: (results) => {
      const all = measuredCells(results, "copy", isAllPairs);
      const chosen = measuredCells(results, "copy", ({ selection, ...parts }) => {
        return selection?.name === selected && isAllPairs(parts);
      }).filter(({ column }) => all.some((cell) => cell.column === column));
      if (chosen.length === 0) return notMeasured(`copy: dot, dot+${selected}`);
      const beside = all.filter(({ column }) => chosen.some((cell) => cell.column === column));
      const evidence = [...chosen, ...beside].map(evidenceOf);
      if (!beside.every(isSolved)) return { status: "undecided", reason: unsolvedByAll, evidence };
      return { status: chosen.every(isSolved) ? "holds" : "does not hold", reason: solvedRule, evidence };
    },
  };
}

const unsolvedByAll: Bilingual = {
  en: `attention to all keys does not reach ${SOLVED} here either, so the task tells nothing about the choice`,
  zh: `此处关注全部键也未达到 ${SOLVED}，因此该任务无法说明选择方式的优劣`,
};
